-- Takes lane. Notes that a lane's last delivery arrived.
DELETE FROM {schema}.delivery_troubles WHERE lane = %(lane)s

-- Has the code count no more. Under pairing/hold.
DELETE FROM {schema}.pairing_codes

"""How a client becomes an account: a bot by its token, a user by phone, code and password."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from telethon import functions, types

from tests.support.telegram import password, show
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.posts import now

if TYPE_CHECKING:
    from tests.support.telegram.people import Account


@answers(functions.help.GetConfigRequest)
def config(call: Call, _request: Any) -> Any:
    """Name the one data centre. All limits are 0: no client of ours reads them."""
    limits = dict.fromkeys(LIMITS, 0)
    here = types.DcOption(show.DC, "127.0.0.1", call.server.port)
    return types.Config(
        date=now(),
        expires=now() + timedelta(days=1),
        test_mode=False,
        this_dc=show.DC,
        dc_options=[here],
        dc_txt_domain_name="",
        me_url_prefix="",
        **limits,
    )


LIMITS = """
    chat_size_max megagroup_size_max forwarded_count_max online_update_period_ms offline_blur_timeout_ms
    offline_idle_timeout_ms online_cloud_timeout_ms notify_cloud_delay_ms notify_default_delay_ms push_chat_period_ms
    push_chat_limit edit_time_limit revoke_time_limit revoke_pm_time_limit rating_e_decay stickers_recent_limit
    channels_read_media_period call_receive_timeout_ms call_ring_timeout_ms call_connect_timeout_ms
    call_packet_timeout_ms caption_length_max message_length_max webfile_dc_id
""".split()  # noqa: SIM905 - as a list, one a line, it is longer than what it serves


@answers(functions.auth.ImportBotAuthorizationRequest)
def bot(call: Call, request: Any) -> Any:
    """Log a bot in."""
    for account in call.world.accounts:
        if account.token == request.bot_auth_token:
            return _log_in(call, account)
    raise Refused("ACCESS_TOKEN_INVALID")


@answers(functions.auth.SendCodeRequest)
def send_code(call: Call, request: Any) -> Any:
    """Send a code to a phone: the one that the account was made with."""
    _by_phone(call, request.phone_number)
    return types.auth.SentCode(types.auth.SentCodeTypeApp(length=5), phone_code_hash=_code_hash(request.phone_number))


@answers(functions.auth.SignInRequest)
def sign_in(call: Call, request: Any) -> Any:
    """Log a user in by their code, unless they owe a password besides."""
    account = _by_phone(call, request.phone_number)
    if request.phone_code_hash != _code_hash(request.phone_number):
        raise Refused("PHONE_CODE_EXPIRED")
    if request.phone_code != account.code:
        raise Refused("PHONE_CODE_INVALID")
    return _log_in_or_ask(call, account)


@answers(functions.auth.ExportLoginTokenRequest)
def draw_login_token(call: Call, _request: Any) -> Any:
    """Give a token to draw as a QR code; asked again after it was scanned, log its scanner in."""
    key = call.key
    if key.scanned_by is None:
        key.login_token = os.urandom(16)
        return types.auth.LoginToken(now() + timedelta(seconds=30), key.login_token)
    account, key.scanned_by = key.scanned_by, None
    return types.auth.LoginTokenSuccess(_log_in_or_ask(call, account))


@answers(functions.account.GetPasswordRequest)
def get_password(call: Call, _request: Any) -> Any:
    """Ask for the password."""
    return password.question(call.key, _owed(call))


@answers(functions.auth.CheckPasswordRequest)
def check_password(call: Call, request: Any) -> Any:
    """Log in who answered the question."""
    if not password.is_right(call.key, _owed(call), request.password):
        raise Refused("PASSWORD_HASH_INVALID")
    assert call.key.awaits_password is not None, "_owed said so"
    return _log_in(call, call.key.awaits_password)


@answers(functions.auth.LogOutRequest)
def log_out(call: Call, _request: Any) -> Any:
    """Log this key out."""
    call.key.account = None
    return types.auth.LoggedOut()


def _log_in_or_ask(call: Call, account: Account) -> Any:
    if account.password is not None:
        call.key.awaits_password = account
        raise Refused("SESSION_PASSWORD_NEEDED", 401)
    return _log_in(call, account)


def _log_in(call: Call, account: Account) -> Any:
    call.key.account, call.key.awaits_password = account, None
    return types.auth.Authorization(show.user(account, account))


def _by_phone(call: Call, phone: str) -> Account:
    for account in call.world.accounts:
        if account.phone is not None and account.phone == phone.lstrip("+"):
            return account
    raise Refused("PHONE_NUMBER_UNOCCUPIED")


def _code_hash(phone: str) -> str:
    return f"code-for-{phone.lstrip('+')}"


def _owed(call: Call) -> str:
    if call.key.awaits_password is None or call.key.awaits_password.password is None:
        raise Refused("AUTH_KEY_UNREGISTERED", 401)
    return call.key.awaits_password.password

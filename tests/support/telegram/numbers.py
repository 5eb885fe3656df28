"""The numbers of the handshake: an RSA key of our own, which clients must be told to trust, and Telegram's own group."""

from __future__ import annotations

import rsa
from telethon.crypto import rsa as trusted

DH_PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37"
    "20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4"
    "A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
"""What Telegram's servers use (core.telegram.org/mtproto/auth_key). A client that logs in by password checks that the prime is
safe: Telethon knows this one, and would look at any other for minutes."""
G = 3
"""A generator that Telethon accepts with that prime, for logins and for passwords."""

PQ = 65537 * 1073741789
"""What a client must factor, its proof of work. The factors are small, so that no test waits for it; the product's first bit is
0, or Telethon takes it for negative."""


def _test_key() -> rsa.PrivateKey:
    p = int(PRIME_1, 16)
    q = int(PRIME_2, 16)
    return rsa.PrivateKey(p * q, 65537, pow(65537, -1, (p - 1) * (q - 1)), p, q)


PRIME_1 = (
    "EA0F9D56737DFF96A1B9A86796E66278254A0E604824F6708CA52FCD77C865C9821498524ACA129A36E51A386E46C9EF4B27738C9EF11A552B5A0BF544E046E0"
    "81FD50C847830277EB8A40FDC7432CFFF776056CDF9443866C277DEA85E1271932FB2FEBDDFA070F1F477EBD2D32EA73EA4BB28D642F1F31B1717FDF5C1A1DD6"
    "C8DC1207DA737A3B"
)
PRIME_2 = (
    "9C26720F6FA0EC75294D74BD799B11641E345BFBAB825D75E281B5F19393A5DCA0BC57F329144649C880DC526C5F37160F46AADFFA14661C2F6A85DCAD53B23E"
    "C6AB9489629383098576B2DD1E3C4EC18B04711BEED0524ACE9AE2038D97DF36E4588AFE9B42CA14E4E678A92B3F8FE4EE6C814C76B36B0D"
)
"""The test key's two primes. Nothing is secret about them: nobody but a test trusts the key."""

KEY = _test_key()
PUBLIC_KEY = rsa.PublicKey(KEY.n, KEY.e).save_pkcs1().decode()
FINGERPRINT: int = trusted._compute_fingerprint(KEY)  # Telethon gives no other way to ask how it names a key


def trust_test_key() -> None:
    """Have Telethon, in this process, take the test server for Telegram. A child process calls it for itself."""
    trusted.add_key(PUBLIC_KEY, old=False)

"""Reads what the broker signs with software that nobody here wrote, and forges what nobody should accept.

    read.py token BASE AUDIENCE ALGORITHM < TOKEN     the claims, if PyJWT and joserfc both accept it
    read.py status BASE < TOKEN                       its status, as two readers of status lists see it
    read.py forge BASE KEY_FILE < TOKEN               forgeries of it, by name; KEY_FILE holds the broker's own key

Every answer is one line of JSON.
"""

import base64
import json
import sys
import time
import urllib.request

import jwt
import token_status_list
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk
from joserfc import jwt as jose
from openvc.status.issue import verify_status_list_token
from openvc.status.token_status_list import check_token_status


def fetch(url, accept):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        media = answer.headers["Content-Type"]
        assert media == accept, f"{url} is {media}"
        return answer.read()


def keys(base):
    return json.loads(fetch(f"{base}/.well-known/jwks.json", "application/jwk-set+json"))


def by_pyjwt(base, token, audience, algorithm):
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt", "another type"
    key = jwt.PyJWKClient(f"{base}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    required = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
    return jwt.decode(token, key, algorithms=[algorithm], audience=audience, issuer=base,
                      options={"require": required})


def by_joserfc(base, token, audience, algorithm):
    read = jose.decode(token, jwk.KeySet.import_key_set(keys(base)), algorithms=[algorithm])
    assert read.header["typ"] == "at+jwt", "another type"
    essential = {name: {"essential": True} for name in ("sub", "client_id", "iat", "jti", "exp")}
    jose.JWTClaimsRegistry(
        **essential,
        iss={"essential": True, "value": base},
        aud={"essential": True, "value": audience},
    ).validate(read.claims)
    return read.claims


READERS = (by_pyjwt, by_joserfc)


def read_token(base, audience, algorithm):
    token = sys.stdin.read().strip()
    claims = [reader(base, token, audience, algorithm) for reader in READERS]
    assert claims[0] == claims[1]
    return claims[0]


def read_status(base):
    token = sys.stdin.read().strip()
    claims = jwt.decode(token, options={"verify_signature": False})

    def resolve(uri):
        """The list's claims, once openvc has verified it; and PyJWT too, where that is older than the algorithm."""
        signed = fetch(uri, "application/statuslist+jwt").decode()
        kid = jwt.get_unverified_header(signed)["kid"]
        key = next(key for key in keys(base)["keys"] if key["kid"] == kid)
        jwt.decode(signed, jwt.PyJWK(key), algorithms=[key["alg"]], issuer=base)
        if key["alg"] == "RS256":
            return jwt.decode(signed, jwt.PyJWK(key), algorithms=["RS256"])
        return verify_status_list_token(signed, public_key_jwk=key, expected_uri=uri)

    by_openvc = check_token_status(claims, resolve_status_list_token=resolve).status
    place = claims["status"]["status_list"]
    listed = token_status_list.BitArray.load(resolve(place["uri"])["status_list"])
    aggregated = json.loads(fetch(f"{base}/status", "application/json"))["status_lists"]
    assert place["uri"] in aggregated
    return {"openvc": by_openvc, "token_status_list": listed[place["idx"]], "size": len(listed)}


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forge(base, key_file):
    token = sys.stdin.read().strip()
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    published = next(key for key in keys(base)["keys"] if key["kid"] == header["kid"])
    with open(key_file, "rb") as file:
        own = serialization.load_pem_private_key(file.read(), None)
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = jwt.PyJWK(published).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def signed(key, claims=claims, **changed):
        return jwt.encode(claims, key, "ES256", {**header, **changed})

    def mac(secret):
        import hashlib
        import hmac
        text = f"{segment({**header, 'alg': 'HS256'})}.{segment(claims)}"
        tag = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"

    head, body, signature = token.split(".")
    middle = len(body) // 2
    edited = body[:middle] + ("A" if body[middle] != "A" else "B") + body[middle + 1:]
    past = int(time.time()) - 3600
    forgeries = {
        "alg none": f"{segment({**header, 'alg': 'none'})}.{body}.",
        "alg none, its signature kept": f"{segment({**header, 'alg': 'none'})}.{body}.{signature}",
        "HS256 with the public key": mac(public),
        "another key under the same name": signed(stranger),
        "another key under its own name": signed(stranger, kid="nobody"),
        "another type": signed(own, typ="JWT"),
        "expired": signed(own, {**claims, "iat": past - 60, "exp": past}),
        "another audience": signed(own, {**claims, "aud": "https://elsewhere.example"}),
        "one character of the claims": f"{head}.{edited}.{signature}",
        "no signature": f"{head}.{body}.",
    }
    for name, forged in forgeries.items():
        for reader in READERS:
            try:
                reader(base, forged, claims["aud"], "ES256")
            except Exception:  # each library has its own
                continue
            raise AssertionError(f"{reader.__name__} accepts: {name}")
    # Signed by the broker's key, and as good as any to whoever only reads it; the broker never gave it out.
    forgeries["never given out"] = signed(own, {**claims, "jti": "another"})
    return forgeries


COMMANDS = {"token": read_token, "status": read_status, "forge": forge}
print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))

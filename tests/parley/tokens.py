"""JSON Web Tokens made by hand, right and wrong ones."""

import base64
import hashlib
import hmac
import json

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token):
    """(header, claims) of a token, its signature unchecked."""
    head, body, _ = token.split(".")
    return json.loads(unb64(head)), json.loads(unb64(body))


def sign(header, claims, key):
    """A token over header and claims. An algorithm that is no HMAC gets an empty signature."""
    text = ".".join(b64(json.dumps(p, separators=(",", ":")).encode()) for p in (header, claims))
    digest = HASHES.get(header.get("alg"))
    return text + "." + (b64(hmac.new(key, text.encode(), digest).digest()) if digest else "")


def resign(token, key, header=(), **claims):
    """token with some header members and claims changed, signed with key; None removes one."""
    head, body = parts(token)
    head.update(header)
    body.update(claims)
    drop = lambda members: {k: v for k, v in members.items() if v is not None}
    return sign(drop(head), drop(body), key)

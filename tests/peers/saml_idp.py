"""An identity provider of SAML 2.0 (pysaml2) on loopback, for sign-ins and sign-outs through Portcullis.

Usage: saml_idp.py --people JSON [--until-stdin-closes]

``--people`` is a list of {"name_id", "attributes"}; there is nothing to click: the first of the list is signed in. Prints
``ready BASE`` when it listens. Its metadata is at /metadata, sign-in at /sso, the end of sessions at /slo.

The test says the rest: ``PUT /test/people`` with such a list; ``PUT /test/service-provider`` with {"url"} reads the
metadata of a service provider; ``PUT /test/says`` with {"encrypt", "sign_assertion", "sign_response"}; ``POST
/test/key`` makes another key that signs from then on, and ``PUT /test/published`` with a list of keys by number says
which certificates the metadata names; ``PUT /test/signs`` with the number of the key that signs; ``PUT /test/binding``
with "redirect" or "post" says how it wants messages and sends those about the end of sessions; ``GET /test/unasked?entity=…`` gives the form of an answer that nobody asked for;
``GET /test/logout?entity=…`` the address, or the form, of a request to end the session of the first person; ``GET /test/ended`` what
service providers answered to such requests, and for whom they asked to end a session.
"""

import argparse
import datetime
import functools
import json
import os
import sys
import tempfile
import threading
import warnings
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs
from urllib.parse import urlsplit
from urllib.request import urlopen

# What this script is called must not hide a package of that name.
del sys.path[0]

# Its own use of its libraries is none of the tests' business.
warnings.simplefilter("ignore")

import saml2.entity
import saml2.sigver
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST
from saml2 import BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT
from saml2.saml import NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256
from saml2.xmldsig import SIG_RSA_SHA256

AES_256_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"

# As it comes it encrypts with Triple DES, which nobody should take.
saml2.entity.pre_encryption_part = functools.partial(saml2.sigver.pre_encryption_part, msg_enc=AES_256_GCM)
_encrypt = saml2.sigver.CryptoBackendXmlSec1.encrypt_assertion


def encrypt_assertion(self, statement, enc_key, template, key_type=None, node_xpath=None, node_id=None):
    """Encrypts with a session key for AES-256, whatever is asked for."""
    return _encrypt(self, statement, enc_key, template, "aes-256", node_xpath, node_id)


saml2.sigver.CryptoBackendXmlSec1.encrypt_assertion = encrypt_assertion


class Idp:
    """The provider and everything that a test can change of it."""

    def __init__(self, base, people):
        self.base, self.people = base, people
        self.folder = tempfile.mkdtemp()
        self.keys, self.published, self.service_providers = [], [], {}
        self.says = {"encrypt": False, "sign_assertion": True, "sign_response": False}
        self.ended = {"answers": [], "requests": []}
        self.made = 0
        self.binding = BINDING_HTTP_REDIRECT
        self.new_key()

    def new_key(self):
        """Makes a key, which signs from then on; its number."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.test")])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=365))
        certificate = builder.sign(key, hashes.SHA256())
        number = len(self.keys)
        paths = [os.path.join(self.folder, f"{number}.{end}") for end in ("key", "pem")]
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for path, content in zip(paths, [private, certificate.public_bytes(serialization.Encoding.PEM)]):
            with open(path, "wb") as file:
                file.write(content)
        self.keys.append(paths)
        if not self.published:
            self.published = [number]
        self.signs = number
        self.build()
        return number

    def config(self, number):
        key, certificate = self.keys[number]
        return {
            "entityid": f"{self.base}/metadata",
            "key_file": key,
            "cert_file": certificate,
            "delete_tmpfiles": True,
            "metadata": {"inline": list(self.service_providers.values())},
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(f"{self.base}/sso", self.binding)],
                        "single_logout_service": [(f"{self.base}/slo", self.binding)],
                    },
                    "want_authn_requests_signed": False,
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": ATTRIBUTE_NAMES}},
                }
            },
        }

    def build(self):
        """Builds the provider anew, with the key that signs."""
        self.server = Server(config=IdPConfig().load(self.config(self.signs)))

    def metadata(self):
        """The metadata, with the certificates that are published."""
        text = str(entity_descriptor(IdPConfig().load(self.config(self.published[0]))))
        start, end = text.index("<ns0:KeyDescriptor"), text.rindex("</ns0:KeyDescriptor>") + len("</ns0:KeyDescriptor>")
        one = text[text.index('<ns0:KeyDescriptor use="signing">') :]
        one = one[: one.index("</ns0:KeyDescriptor>") + len("</ns0:KeyDescriptor>")]
        first = self.certificate(self.published[0])
        all_of_them = "".join(one.replace(first, self.certificate(n)) for n in self.published)
        return text[:start] + all_of_them + text[end:]

    def certificate(self, number):
        with open(self.keys[number][1]) as file:
            return "".join(file.read().splitlines()[1:-1])

    def answer(self, entity, to, acs, relay_state):
        """The form of an answer about the first person."""
        person = self.people[0]
        self.made += 1
        message = self.server.create_authn_response(
            person["attributes"],
            to,
            acs,
            entity,
            name_id=self.name_id(entity),
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self.base},
            encrypt_assertion=self.says["encrypt"],
            encrypt_assertion_self_contained=True,
            sign_assertion=self.says["sign_assertion"],
            sign_response=self.says["sign_response"],
            # As it comes it signs with SHA-1, which nobody should take either.
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        info = self.server.apply_binding(
            BINDING_HTTP_POST, str(message), acs, relay_state=relay_state or "", response=True, sign=False
        )
        return info["data"]

    def name_id(self, entity):
        return NameID(
            format=NAMEID_FORMAT_PERSISTENT,
            name_qualifier=f"{self.base}/metadata",
            sp_name_qualifier=entity,
            text=self.people[0]["name_id"],
        )

    def acs(self, entity):
        return self.server.metadata.assertion_consumer_service(entity, BINDING_HTTP_POST)[0]["location"]

    def slo(self, entity):
        return self.server.metadata.single_logout_service(entity, self.binding, "spsso")[0]

    def sign_in(self, query):
        signed = {"sigalg": query.get("SigAlg"), "signature": query.get("Signature")}
        request = self.server.parse_authn_request(
            query["SAMLRequest"], self.binding, relay_state=query.get("RelayState"), **signed
        )
        entity = request.message.issuer.text.strip()
        acs = request.message.assertion_consumer_service_url
        if acs != self.acs(entity):
            raise ValueError(f"`{acs}` is not where the metadata of `{entity}` wants answers")
        return self.answer(entity, request.message.id, acs, query.get("RelayState"))

    def log_out(self, query):
        """Takes a message about the end of a session; what the browser is sent on with, or None."""
        signed = {"sigalg": query.get("SigAlg"), "signature": query.get("Signature")}
        if "SAMLResponse" in query:
            answer = self.server.parse_logout_request_response(query["SAMLResponse"], self.binding)
            self.ended["answers"].append(answer.response.status.status_code.value.rsplit(":", 1)[1])
            return None
        if self.binding == BINDING_HTTP_REDIRECT and not query.get("Signature"):
            raise ValueError("a request to end a session is not signed")
        request = self.server.parse_logout_request(
            query["SAMLRequest"], self.binding, relay_state=query.get("RelayState"), **signed
        )
        if self.binding == BINDING_HTTP_POST and request.message.signature is None:
            raise ValueError("a request to end a session is not signed")
        self.ended["requests"].append(request.message.name_id.text)
        answer = self.server.create_logout_response(request.message, [self.binding], **self.signature())
        entity = request.message.issuer.text.strip()
        where = self.slo(entity)
        to = where.get("response_location") or where["location"]
        return self.sent(answer, to, query.get("RelayState"), response=True)

    def ask_to_end(self, entity):
        to = self.slo(entity)["location"]
        expire = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        _, request = self.server.create_logout_request(
            to, entity, name_id=self.name_id(entity), expire=expire, **self.signature()
        )
        return self.sent(request, to, "from-the-provider", response=False)

    def signature(self):
        """In a form the message itself is signed, in a redirect what is around it."""
        if self.binding == BINDING_HTTP_REDIRECT:
            return {"sign": False}
        return {"sign": True, "sign_alg": SIG_RSA_SHA256, "digest_alg": DIGEST_SHA256}

    def sent(self, message, to, relay_state, response):
        """The address of a redirect, or the page of a form."""
        by_redirect = self.binding == BINDING_HTTP_REDIRECT
        signed = {"sign": True, "sigalg": SIG_RSA_SHA256} if by_redirect else {"sign": False}
        info = self.server.apply_binding(
            self.binding, str(message), to, relay_state=relay_state or "", response=response, **signed
        )
        return dict(info["headers"])["Location"] if by_redirect else info["data"]


ATTRIBUTE_NAMES = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the provider."""

    idp = None
    lock = threading.Lock()

    def do_GET(self):
        self.handle_with(self.get)

    def do_PUT(self):
        self.handle_with(self.put)

    def do_POST(self):
        self.handle_with(self.post)

    def handle_with(self, act):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            with self.lock:
                act(parts.path, query)
        except Exception as error:
            print(f"{self.path[:200]}: {error!r}", file=sys.stderr)
            self.send(500, "text/plain", repr(error))

    def get(self, path, query):
        if path == "/metadata":
            self.send(200, "application/samlmetadata+xml", self.idp.metadata())
        elif path == "/sso":
            self.send(200, "text/html", self.idp.sign_in(query))
        elif path == "/slo":
            self.ended(query)
        elif path == "/test/unasked":
            form = self.idp.answer(query["entity"], None, self.idp.acs(query["entity"]), query.get("state"))
            self.send(200, "text/html", form)
        elif path == "/test/logout":
            self.send(200, "text/plain", self.idp.ask_to_end(query["entity"]))
        elif path == "/test/ended":
            self.send(200, "application/json", json.dumps(self.idp.ended))
        else:
            self.send(404, "text/plain", "nothing here")

    def ended(self, query):
        """Answers a message about the end of a session."""
        on = self.idp.log_out(query)
        if on and self.idp.binding == BINDING_HTTP_REDIRECT:
            self.go(on)
        else:
            self.send(200, "text/html", on or "signed out")

    def put(self, path, query):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if path == "/test/people":
            self.idp.people = said
        elif path == "/test/says":
            self.idp.says.update(said)
        elif path == "/test/published":
            self.idp.published = said
        elif path == "/test/signs":
            self.idp.signs = said
            self.idp.build()
        elif path == "/test/binding":
            self.idp.binding = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}[said]
            self.idp.build()
        elif path == "/test/service-provider":
            with urlopen(said["url"]) as answer:
                self.idp.service_providers[said["url"]] = answer.read().decode()
            self.idp.build()
        else:
            return self.send(404, "text/plain", "nothing here")
        self.send(204, "text/plain", "")

    def post(self, path, query):
        if path == "/test/key":
            return self.send(200, "application/json", json.dumps(self.idp.new_key()))
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        form = {name: values[0] for name, values in form.items()}
        if path == "/sso":
            self.send(200, "text/html", self.idp.sign_in(form))
        elif path == "/slo":
            self.ended(form)
        else:
            self.send(404, "text/plain", "nothing here")

    def send(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def go(self, to):
        self.send_response(303)
        self.send_header("location", to)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", required=True)
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    Handler.idp = Idp(base, json.loads(options.people))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {base}", flush=True)
    if options.until_stdin_closes:
        sys.stdin.read()
    else:
        threading.Event().wait()


if __name__ == "__main__":
    main()

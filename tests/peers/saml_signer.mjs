// Signs and encrypts as the SAML libraries of npm do (samlp, node-saml, samlify stand on these two packages), and
// verifies what we signed. Reads one JSON array of jobs from standard input, writes one JSON array of texts.

import { readFileSync } from "node:fs";
import { load } from "./npm.mjs";

const { SignedXml } = await load("xml-crypto");
const { encrypt } = (await load("xml-encryption")).default;
const EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/** An enveloped signature behind the issuer of the element with this local name. */
function sign({ xml, element, signature, digest, prefixes, key, certificate }) {
  const signer = new SignedXml({
    privateKey: key,
    publicCert: certificate,
    signatureAlgorithm: signature,
    canonicalizationAlgorithm: EXCLUSIVE,
  });
  const xpath = `//*[local-name(.)='${element}']`;
  signer.addReference({
    xpath,
    digestAlgorithm: digest,
    transforms: [ENVELOPED, EXCLUSIVE],
    inclusiveNamespacesPrefixList: prefixes,
  });
  const reference = `${xpath}/*[local-name(.)='Issuer']`;
  signer.computeSignature(xml, { prefix: "ds", location: { reference, action: "after" } });
  return signer.getSignedXml();
}

function encrypted({ xml, content, transport, digest, publicKey, certificate }) {
  return new Promise((resolve, reject) => {
    const options = {
      rsa_pub: publicKey,
      pem: certificate,
      encryptionAlgorithm: content,
      keyEncryptionAlgorithm: transport,
      keyEncryptionDigest: digest,
      disallowEncryptionWithInsecureAlgorithm: false,
      warnInsecureAlgorithm: false,
    };
    encrypt(xml, options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

function verify({ xml, certificate }) {
  const signature = xml.slice(xml.indexOf("<ds:Signature "), xml.indexOf("</ds:Signature>") + "</ds:Signature>".length);
  const verifier = new SignedXml({ publicCert: certificate });
  verifier.loadSignature(signature);
  try {
    return verifier.checkSignature(xml) ? "verified" : "refused";
  } catch {
    return "refused";
  }
}

const doers = { sign, encrypt: encrypted, verify };
const jobs = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const job of jobs) {
  answers.push(await doers[job.do](job));
}
process.stdout.write(JSON.stringify(answers));

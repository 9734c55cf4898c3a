// A certified OpenID provider (npm `oidc-provider`) on loopback with one client, for sign-ins through Portcullis.
//
// Usage: oidc_provider.mjs --client-id ID --client-secret SECRET --accounts JSON
//                          [--redirect-uri URI] [--port N] [--until-stdin-closes]
//
// `--accounts` is a list of {"sub", "email", "email_verified", "name", "groups"}; what an entry leaves out is left out of
// its claims too. There is nothing to click: whoever `login_hint` names (by e-mail or sub) is signed in, the first of the
// list if there is no hint; an unknown hint is answered with `access_denied`. Prints `ready ISSUER` when it listens.
// `PUT /test/accounts` with such a list replaces it, so that a test can change what a person's claims say;
// `PUT /test/redirect-uris` with a list of URIs replaces the client's, because a relying party tells its redirect URI only
// after it was told the issuer; `PUT /test/client` with members of a client's metadata puts them in place of the usual
// ones (null takes one away), so that a test chooses how the client proves itself and where it is told of the end of a
// session. The issuer is in every authorization response (RFC 9207), PKCE is demanded, and ID tokens are RS256 with the
// claims in them. Its page at `/session/end` asks with a form, as the usual one does.

import { createServer } from "node:http";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { endWithStarter, load, option } from "./npm.mjs";

const { Provider, errors } = await load("oidc-provider").then((loaded) => ({ Provider: loaded.default, errors: loaded.errors }));

const MAX_BODY_BYTES = 1 << 20;

const clientId = option("client-id");
const clientSecret = option("client-secret");
const keys = { cookies: [randomBytes(16).toString("hex")], jwks: [signingKey()] };
// A provider wants at least one redirect URI; nothing listens on this one.
let redirectUris = [option("redirect-uri", "http://127.0.0.1:1/callback")];
let accounts = JSON.parse(option("accounts"));
let clientMembers = {};

function find(hint) {
  return accounts.find((account) => account.sub === hint || account.email === hint);
}

function signingKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: randomBytes(8).toString("hex") };
}

function configuration() {
  return {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: redirectUris,
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "client_secret_basic",
        id_token_signed_response_alg: "RS256",
        ...clientMembers,
      },
    ].map((client) => Object.fromEntries(Object.entries(client).filter(([, value]) => value !== null))),
    scopes: ["openid", "offline_access", "email", "profile", "groups"],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    // Providers of companies put the claims into the ID token; so does this one.
    conformIdTokenClaims: false,
    cookies: { keys: keys.cookies },
    jwks: { keys: keys.jwks },
    pkce: { required: () => true },
    // Our keys and our logout address are on loopback here, which its guard against such addresses would refuse.
    fetch: (url, { dispatcher: _guard, ...options }) => fetch(url, options),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = `<!doctype html><title>Sign out?</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes</button>`;
        },
      },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => {
      const account = find(id);
      return account && { accountId: account.sub, claims: () => ({ ...account }) };
    },
    // Everything that is asked for is granted: consent is not what these tests are about.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope("openid offline_access email profile groups");
      await grant.save();
      return grant;
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
    renderError: (ctx, out) => {
      ctx.type = "text/plain";
      ctx.body = `${out.error}: ${out.error_description ?? ""}\n`;
    },
  };
}

async function interaction(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const account = params.login_hint ? find(params.login_hint) : accounts[0];
  const result = account
    ? { login: { accountId: account.sub } }
    : { error: "access_denied", error_description: "nobody here has that name" };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error("the body is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function answer(running, request, response) {
  if (request.method === "PUT" && request.url === "/test/accounts") {
    accounts = JSON.parse(await readBody(request));
    response.writeHead(204).end();
  } else if (request.method === "PUT" && request.url === "/test/redirect-uris") {
    redirectUris = JSON.parse(await readBody(request));
    running.provider = new Provider(running.provider.issuer, configuration());
    response.writeHead(204).end();
  } else if (request.method === "PUT" && request.url === "/test/client") {
    clientMembers = JSON.parse(await readBody(request));
    running.provider = new Provider(running.provider.issuer, configuration());
    response.writeHead(204).end();
  } else if (request.url.startsWith("/interaction/")) {
    await interaction(running.provider, request, response);
  } else {
    running.provider.callback()(request, response);
  }
}

const server = createServer();
server.listen(Number(option("port", "0")), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const running = { provider: new Provider(issuer, configuration()) };
  server.on("request", (request, response) => {
    answer(running, request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(error instanceof errors.OIDCProviderError ? 400 : 500);
      response.end();
    });
  });
  endWithStarter();
  console.log(`ready ${issuer}`);
});

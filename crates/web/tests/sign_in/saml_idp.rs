//! A provider of SAML that says what a test tells it to say, and signs it with a key of its own.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::{Clock as _, Timestamp};
use portcullis_emulator::{Browser, Page};
use portcullis_saml::binding::{Binding, MessageKind, Outgoing};
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_saml::provider::{self, Dispatch};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::world::World;

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// A key of a provider, as good for ten years from the beginning of every test.
pub fn key() -> Arc<OwnKey> {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let issue = Issue {
        name: "idp.test",
        serial: &[7; 16],
        not_before_s: portcullis_testkit::START.seconds() - 60,
        not_after_s: portcullis_testkit::START.plus_s(3_650 * 86_400).seconds(),
    };
    Arc::new(OwnKey::self_signed(&OwnKey::pkcs8_of(&pair).unwrap(), &issue).unwrap())
}

/// What a provider says of somebody.
#[derive(Clone)]
pub struct Says {
    pub name_id: String,
    pub format: &'static str,
    pub attributes: Vec<(&'static str, Vec<String>)>,
    pub session_index: &'static str,
    /// Seconds from now until it wants the session to have ended.
    pub session_s: Option<i64>,
    /// Where the answer is posted, if not where the request said.
    pub acs: Option<String>,
    pub signed: bool,
    /// How many seconds before the answer the person proved themselves.
    pub proven_ago_s: i64,
    /// For how many seconds the answer calls itself good.
    pub good_for_s: i64,
}

impl Says {
    /// Ada by an opaque name, with an address, in these groups.
    pub fn ada(groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Self {
            name_id: "ada-1".to_owned(),
            format: PERSISTENT,
            attributes: vec![("email", vec![crate::world::ADA.to_owned()]), ("groups", groups)],
            session_index: "_session-1",
            session_s: None,
            acs: None,
            signed: true,
            proven_ago_s: 0,
            good_for_s: 300,
        }
    }

    /// The same, named by an address.
    pub fn by_address(address: &str) -> Self {
        Self {
            name_id: address.to_owned(),
            format: EMAIL,
            attributes: vec![("email", vec![address.to_owned()])],
            ..Self::ada(&[])
        }
    }

    /// The same without saying anything of groups.
    pub fn without_groups(mut self) -> Self {
        self.attributes.retain(|(name, _)| *name != "groups");
        self
    }
}

/// A form that the provider has the browser post, taken apart.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    pub async fn post(&self, browser: &mut Browser) -> Page {
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.submit(&self.action, &fields).await.unwrap()
    }
}

/// A request of ours, as the provider reads it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: String,
    pub xml: String,
    pub relay_state: Option<String>,
    pub query: BTreeMap<String, String>,
}

/// The provider.
pub struct Idp {
    pub key: Arc<OwnKey>,
    pub entity: String,
    pub base: String,
    document: Arc<Mutex<String>>,
    reads: Arc<Mutex<usize>>,
    made: Mutex<u32>,
}

impl Idp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (document, reads) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<usize>>::default());
        let (served, counted) = (Arc::clone(&document), Arc::clone(&reads));
        let metadata = move || {
            *counted.lock().unwrap() += 1;
            let text = served.lock().unwrap().clone();
            async move { text }
        };
        let routes = axum::Router::new().route("/metadata", axum::routing::get(metadata));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let idp = Self {
            key: key(),
            entity: "https://idp.test/entity".to_owned(),
            base,
            document,
            reads,
            made: Mutex::new(0),
        };
        idp.publish(&[&idp.key]);
        idp
    }

    /// How often the metadata was read.
    pub fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }

    pub fn metadata_url(&self) -> String {
        format!("{}/metadata", self.base)
    }

    /// The metadata as it is served now.
    pub fn metadata(&self) -> String {
        self.document.lock().unwrap().clone()
    }

    /// Serves metadata with these keys.
    pub fn publish(&self, keys: &[&OwnKey]) {
        self.publish_as(&self.entity, keys);
    }

    /// The same under another name.
    pub fn publish_as(&self, entity: &str, keys: &[&OwnKey]) {
        let base = &self.base;
        let descriptors: String = keys
            .iter()
            .map(|key| {
                let certificate = STANDARD.encode(key.certificate().der());
                format!(
                    r#"<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#
                )
            })
            .collect();
        self.serve(format!(
            r#"<md:EntityDescriptor ID="_metadata" xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity}"><md:IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL}">{descriptors}<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{base}/slo"/><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{base}/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
        ));
    }

    /// Serves that in the place of metadata.
    pub fn serve(&self, document: String) {
        *self.document.lock().unwrap() = document;
    }

    /// Serves metadata with these keys that `signer` has signed.
    pub fn publish_signed(&self, keys: &[&OwnKey], signer: &OwnKey) {
        self.publish(keys);
        self.serve(provider::sign(&self.metadata(), "_metadata", signer).unwrap());
    }

    /// A fresh id of a message.
    pub fn id(&self) -> String {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        format!("_message-{made}")
    }

    /// Reads the request in an address that a browser was sent to.
    pub fn read(url: &Url) -> Asked {
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let message = query.get("SAMLRequest").or_else(|| query.get("SAMLResponse"));
        let bytes = STANDARD.decode(message.unwrap_or_else(|| panic!("no message in {url}"))).unwrap();
        let mut xml = String::new();
        flate2::read::DeflateDecoder::new(&bytes[..]).read_to_string(&mut xml).unwrap();
        let id = xml.split_once(" ID=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        Asked { id, xml, relay_state: query.get("RelayState").cloned(), query }
    }

    /// Sends a browser to the provider; what it brings along.
    pub async fn ask(&self, browser: &mut Browser, login: &str) -> Asked {
        let (page, next) = browser.step(login).await.unwrap();
        let next = next.unwrap_or_else(|| panic!("{} {}", page.status, page.body));
        assert!(next.as_str().starts_with(&format!("{}/sso?", self.base)), "{next}");
        Self::read(&next)
    }

    /// The answer to a request, or one that nobody asked for, for that connection.
    pub fn answer(&self, now: Timestamp, connection: &Value, asked: Option<&Asked>, says: &Says) -> Form {
        let text = |field: &str| connection[field].as_str().unwrap().to_owned();
        let (acs, audience) = (says.acs.clone().unwrap_or_else(|| text("acs_url")), text("entity_id"));
        let to = asked.map_or_else(String::new, |a| format!(r#" InResponseTo="{}""#, a.id));
        let (response, assertion) = (self.id(), self.id());
        let at = |seconds: i64| now.plus_s(seconds).rfc3339();
        let (issued, until, before) = (at(0), at(says.good_for_s), at(-60));
        let proven = at(-says.proven_ago_s);
        let session =
            says.session_s.map_or_else(String::new, |s| format!(r#" SessionNotOnOrAfter="{}""#, at(s)));
        let attributes: String = says
            .attributes
            .iter()
            .map(|(name, values)| {
                let values: String = values
                    .iter()
                    .map(|v| format!("<saml:AttributeValue>{v}</saml:AttributeValue>"))
                    .collect();
                format!(r#"<saml:Attribute Name="{name}">{values}</saml:Attribute>"#)
            })
            .collect();
        let statement = if attributes.is_empty() {
            String::new()
        } else {
            format!("<saml:AttributeStatement>{attributes}</saml:AttributeStatement>")
        };
        let (entity, name, format) = (&self.entity, &says.name_id, says.format);
        let index = match says.session_index {
            "" => String::new(),
            index => format!(r#" SessionIndex="{index}""#),
        };
        let xml = format!(
            r#"<samlp:Response xmlns:samlp="{PROTOCOL}" xmlns:saml="{ASSERTION}" ID="{response}" Version="2.0" IssueInstant="{issued}" Destination="{acs}"{to}><saml:Issuer>{entity}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="{assertion}" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{entity}</saml:Issuer><saml:Subject><saml:NameID Format="{format}">{name}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{acs}"{to}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{before}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{proven}"{index}{session}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>{statement}</saml:Assertion></samlp:Response>"#
        );
        let xml = if says.signed { provider::sign(&xml, &assertion, &self.key).unwrap() } else { xml };
        let state = asked.and_then(|a| a.relay_state.as_deref());
        let dispatch = Dispatch {
            xml: &xml,
            kind: MessageKind::Response,
            binding: Binding::Post,
            destination: &acs,
            relay_state: state,
        };
        form(provider::send(&dispatch, None).unwrap())
    }

    /// A request to end somebody's session at that connection, as an address that the browser is sent to.
    pub fn ask_to_end(&self, now: Timestamp, connection: &Value, says: &Says, signed: bool) -> String {
        self.redirect_to_end(now, connection, says, ("theirs", signed))
    }

    /// The same, signed, with that state of the provider's.
    pub fn ask_to_end_with(&self, now: Timestamp, connection: &Value, says: &Says, state: &str) -> String {
        self.redirect_to_end(now, connection, says, (state, true))
    }

    fn redirect_to_end(
        &self,
        now: Timestamp,
        connection: &Value,
        says: &Says,
        (state, signed): (&str, bool),
    ) -> String {
        let to = connection["logout_url"].as_str().unwrap();
        let (id, issued, until) = (self.id(), now.rfc3339(), now.plus_s(300).rfc3339());
        let (entity, name) = (&self.entity, &says.name_id);
        let format = match says.format {
            "" => String::new(),
            format => format!(r#" Format="{format}""#),
        };
        let index = match says.session_index {
            "" => String::new(),
            index => format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>"),
        };
        let xml = format!(
            r#"<samlp:LogoutRequest xmlns:samlp="{PROTOCOL}" xmlns:saml="{ASSERTION}" ID="{id}" Version="2.0" IssueInstant="{issued}" NotOnOrAfter="{until}" Destination="{to}"><saml:Issuer>{entity}</saml:Issuer><saml:NameID{format}>{name}</saml:NameID>{index}</samlp:LogoutRequest>"#
        );
        self.redirect(&xml, MessageKind::Request, to, Some(state), signed)
    }

    /// The answer to a request of ours to end a session.
    pub fn answer_logout(&self, now: Timestamp, connection: &Value, asked: &Asked) -> String {
        let to = connection["logout_url"].as_str().unwrap();
        let (id, issued, entity, request) = (self.id(), now.rfc3339(), &self.entity, &asked.id);
        let xml = format!(
            r#"<samlp:LogoutResponse xmlns:samlp="{PROTOCOL}" xmlns:saml="{ASSERTION}" ID="{id}" Version="2.0" IssueInstant="{issued}" Destination="{to}" InResponseTo="{request}"><saml:Issuer>{entity}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>"#
        );
        self.redirect(&xml, MessageKind::Response, to, asked.relay_state.as_deref(), true)
    }

    fn redirect(&self, xml: &str, kind: MessageKind, to: &str, state: Option<&str>, signed: bool) -> String {
        let dispatch =
            Dispatch { xml, kind, binding: Binding::Redirect, destination: to, relay_state: state };
        match provider::send(&dispatch, signed.then_some(&*self.key)).unwrap() {
            Outgoing::Redirect { url } => url,
            Outgoing::Form { .. } => panic!("a redirect was asked for"),
        }
    }
}

fn form(message: Outgoing) -> Form {
    let Outgoing::Form { action, field, value, relay_state } = message else {
        panic!("a form was asked for")
    };
    let mut fields = vec![(field.to_owned(), value)];
    fields.extend(relay_state.map(|state| ("RelayState".to_owned(), state)));
    Form { action, fields }
}

impl World {
    /// Makes a connection to that provider of SAML, with these fields beside the usual ones.
    pub async fn saml(&self, org: &str, idp: &Idp, fields: Value) -> Value {
        let mut body = json!({ "kind": "saml", "name": "Corporate", "metadata_url": idp.metadata_url() });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        if !body["metadata_xml"].is_null() {
            body.as_object_mut().unwrap().remove("metadata_url");
        }
        self.made(&format!("/organizations/{org}/connections"), body).await
    }

    /// Signs somebody in by SAML in that browser.
    pub async fn by_saml(&self, browser: &mut Browser, idp: &Idp, connection: &Value, says: &Says) -> Page {
        let asked = idp.ask(browser, connection["login_url"].as_str().unwrap()).await;
        idp.answer(self.clock.now(), connection, Some(&asked), says).post(browser).await
    }

    /// The same in a new browser: `ok`, or the code of the refusal.
    pub async fn saml_outcome(&self, idp: &Idp, connection: &Value, says: &Says) -> String {
        let mut browser = Browser::new().unwrap();
        let page = self.by_saml(&mut browser, idp, connection, says).await;
        let outcome = crate::world::outcome(&page);
        assert_eq!(
            outcome == "ok",
            !self.sessions(&browser).is_empty(),
            "a session if and only if it went well"
        );
        outcome
    }
}

//! What a few providers do differently, by provider: which claims name a person, vouch for an address, or carry groups.
//!
//! Here because the answers differ in what is dangerous to get wrong. A preset fills what a connection leaves open and
//! turns the provider's own checks on; it turns nothing off that the issuer asks for by itself.

use url::Url;

use crate::claims::SubjectSource;
use crate::issuer::{IssuerKind, tenant_of};

/// The claim that carries groups at most providers.
const GROUPS: &str = "groups";
/// Hosts of Okta's organizations. A host of the customer's own is not recognised.
const OKTA_HOSTS: [&str; 5] =
    [".okta.com", ".oktapreview.com", ".okta-emea.com", ".okta-gov.com", ".okta.mil"];
const AUTH0_HOSTS: [&str; 1] = [".auth0.com"];

/// A provider whose ways are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Microsoft Entra ID: people are `tid` and `oid`, addresses are vouched for by `xms_edov` alone, guests are told.
    Entra,
    /// Google: only accounts of a company count (`hd`), and tokens carry no groups.
    Google,
    /// Okta.
    Okta,
    /// Keycloak.
    Keycloak,
    /// Auth0: claims of its customers' own are named by URLs.
    Auth0,
    /// Any other provider: what the standard says.
    Generic,
}

impl Preset {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Entra, Self::Google, Self::Okta, Self::Keycloak, Self::Auth0, Self::Generic];

    /// Its stable name in settings and URLs.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Google => "google",
            Self::Okta => "okta",
            Self::Keycloak => "keycloak",
            Self::Auth0 => "auth0",
            Self::Generic => "generic",
        }
    }

    /// The preset of this name.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.slug() == slug)
    }

    /// The preset that an issuer tells by itself; [`Preset::Generic`] if none.
    #[must_use]
    pub fn of_issuer(issuer: &str) -> Self {
        match IssuerKind::of(issuer) {
            IssuerKind::Entra { .. } => Self::Entra,
            IssuerKind::Google => Self::Google,
            IssuerKind::Other => Url::parse(issuer).map_or(Self::Generic, |url| of_address(&url)),
        }
    }

    /// The preset in force: the one that was chosen, else the issuer's. Microsoft's and Google's own issuers are theirs
    /// whatever was chosen, so that nobody turns their checks off.
    #[must_use]
    pub fn in_force(chosen: Option<Self>, issuer: &str) -> Self {
        match (Self::of_issuer(issuer), chosen) {
            (own @ (Self::Entra | Self::Google), _) => own,
            (_, Some(chosen)) => chosen,
            (detected, None) => detected,
        }
    }

    /// Why this preset cannot be chosen for that issuer, if it cannot.
    #[must_use]
    pub fn refused_for(self, issuer: &str) -> Option<String> {
        let own = Self::of_issuer(issuer);
        if matches!(own, Self::Entra | Self::Google) && own != self {
            return Some(format!("is `{}` or null for this issuer", own.slug()));
        }
        let no_tenant = self == Self::Entra && tenant_of(issuer).is_none();
        no_tenant.then(|| {
            "needs an issuer of one tenant, such as `https://login.microsoftonline.com/<tenant id>/v2.0`"
                .to_owned()
        })
    }

    /// Which claims name the person.
    #[must_use]
    pub fn subject_source(self) -> SubjectSource {
        match self {
            Self::Entra => SubjectSource::EntraObject,
            Self::Google | Self::Okta | Self::Keycloak | Self::Auth0 | Self::Generic => SubjectSource::Sub,
        }
    }

    /// The claim that carries groups among these names, if it is not known by heart: Auth0 lets a customer add claims
    /// only under a URL of their own. Two that look alike name nothing: nobody could tell which was meant.
    #[must_use]
    pub fn groups_claim<'n>(self, names: impl Iterator<Item = &'n str> + Clone) -> &'n str {
        if self != Self::Auth0 || names.clone().any(|name| name == GROUPS) {
            return GROUPS;
        }
        let mut theirs = names.filter(|name| is_url(name) && name.ends_with("/groups"));
        match theirs.next() {
            Some(one) if theirs.all(|other| other == one) => one,
            _ => GROUPS,
        }
    }
}

fn of_address(url: &Url) -> Preset {
    let host = url.host_str().unwrap_or_default();
    let ends = |hosts: &[&str]| hosts.iter().any(|end| host.ends_with(end));
    let mut segments = url.path_segments().into_iter().flatten().rev();
    if ends(&OKTA_HOSTS) {
        Preset::Okta
    } else if ends(&AUTH0_HOSTS) {
        Preset::Auth0
    } else if segments.next().is_some_and(|realm| !realm.is_empty()) && segments.next() == Some("realms") {
        Preset::Keycloak
    } else {
        Preset::Generic
    }
}

fn is_url(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

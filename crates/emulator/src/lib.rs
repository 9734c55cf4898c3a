//! The identity provider's side: an OIDC provider, a SCIM client, a stand-in of Google Workspace, and a company.
//!
//! Here so that `portcullis demo`, `portcullis emulate` and the tests have a counterpart that speaks only HTTP, as a
//! stranger would, and that can be told to misbehave: every attack on a relying party is one [`Behaviour`]. `serve`
//! never reaches this crate. It shares no code with Portcullis but the OIDC messages, so that a mistake in a room is
//! not made on both sides of the wire; the SCIM bodies are written out by hand as real providers send them.
//!
//! Time and randomness come from [`Surroundings`], as everywhere below `server`.

mod behaviour;
mod browser;
mod dialect;
mod emulate;
mod google;
mod http_client;
mod oidc_answers;
mod oidc_provider;
mod oidc_routes;
mod people;
mod request;
mod scim_client;
mod surroundings;

pub use behaviour::Behaviour;
pub use browser::{Browser, BrowserError, Page};
pub use dialect::{Dialect, ENTRA_FLAG};
pub use emulate::{
    Check, Emulation, Exchange, Halt, Kind, LeftBehind, MAX_EMULATED_PEOPLE, MIN_EMULATED_PEOPLE, Step,
    Verdict, Weight,
};
pub use google::{
    DIRECTORY_PATH, GOOGLE_TOKEN_URL, GoogleAnswer, GoogleCall, GoogleChoice, GoogleErrorForm, GoogleFault,
    GoogleGroup, GoogleMember, GooglePerson, GoogleServer, GoogleSettings, GoogleSigns, GoogleWorkspace,
    Workspace,
};
pub use http_client::HttpError;
pub use oidc_provider::{
    Authentication, Counts, EmulatorError, GroupValues, KeyKind, OidcProvider, ProviderSettings,
    RegisteredClient, Rotation,
};
pub use people::{Company, Group, Person, PersonState};
pub use request::{FlagPlace, ScimRequest};
pub use scim_client::{Answer, ScimClient};
pub use surroundings::Surroundings;

//! The stand-in provider against a relying party made of the OIDC room, and the SCIM client against a server that
//! writes down what came.
//!
//! One binary, so that the library is linked once.

#[cfg(test)]
mod company;
#[cfg(test)]
mod emulate;
#[cfg(test)]
mod google;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod relying_party;
#[cfg(test)]
mod scim;
#[cfg(test)]
mod sign_in;

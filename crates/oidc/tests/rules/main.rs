//! The rules of the room, tried from outside: every refusal beside a neighbour that passes and differs in one thing.
//!
//! One binary, so that the library is linked once.

#[cfg(test)]
mod callback;
#[cfg(test)]
mod certificate;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod id_token;
#[cfg(test)]
mod jwks;
#[cfg(test)]
mod jws;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod logout_token;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod preset;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod token;

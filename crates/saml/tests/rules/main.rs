//! The rules of the room, tried from outside: every refusal beside a neighbour that passes and differs in one thing.
//!
//! What is verified here was signed and encrypted by other implementations, the program `xmlsec1` and npm's packages, with
//! keys made for the run: `portcullis_testkit::saml`. One binary, so that the library is linked once.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod bindings;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logout;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod npm;
#[cfg(test)]
mod own_messages;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod response;

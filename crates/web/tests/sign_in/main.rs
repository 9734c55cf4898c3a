//! Sign-in over real sockets: the product, an identity provider that can misbehave, browsers that keep cookies.

#[cfg(test)]
mod brought;
#[cfg(test)]
mod choosing;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod foreign_links;
#[cfg(test)]
mod leavers;
#[cfg(test)]
mod local;
#[cfg(test)]
mod meanwhile;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod named_anew;
#[cfg(test)]
mod oidc_logout;
#[cfg(test)]
mod oidc_settings;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod presets;
#[cfg(test)]
mod ranks;
#[cfg(test)]
mod returning;
#[cfg(test)]
mod rollover;
#[cfg(test)]
mod saml;
#[cfg(test)]
mod saml_idp;
#[cfg(test)]
mod saml_logout;
#[cfg(test)]
mod saml_naming;
#[cfg(test)]
mod saml_trust;
#[cfg(test)]
mod second_links;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod suggesting;
#[cfg(test)]
mod tabs;
#[cfg(test)]
mod taking_over;
#[cfg(test)]
mod told;
#[cfg(test)]
mod tries;
#[cfg(test)]
mod vouching;
#[cfg(test)]
mod way_out;
#[cfg(test)]
mod world;

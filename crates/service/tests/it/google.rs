//! Directories of Google Workspace against a stand-in of its Directory API: what a poll brings, what it takes, and what
//! it must never take.

mod asking;
mod believing;
mod braking;
mod failing;
mod identity;
mod moving;
mod overtaken;
mod polling;
mod slots;
mod world;

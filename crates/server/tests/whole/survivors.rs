//! Nothing of a leaver is admitted after the answer; nothing of anybody else is lost.
//!
//! Each round one person gets every kind of token and agent in one organization, and in another too, while 64
//! connections ask about all of them all the time, everywhere where one can be let in. Then a way takes the person out.
//! Whatever is admitted by a check that began after the 2xx has survived.

mod askers;
mod kinds;
mod leaving;
mod restored;
mod scene;
mod surfaces;
mod ways;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::token::TokenKind;

use self::askers::{Asked, Askers, Watched, codes};
pub use self::kinds::{Fate, Issued, OpenSession, every_kind, secret_of};
use self::leaving::Leaving;
use self::scene::Leaver;
pub use self::scene::{Idps, Scene};
pub use self::surfaces::{Gate, Surface};
use self::ways::{Left, Way};
use crate::harness::{Server, fresh_database, is_long, until_within};

/// How long a job may take to end a thousand people, five hundred in a transaction, beside 64 connections that ask all the time.
const MAX_JOB_WAIT: Duration = Duration::from_secs(240);

/// What somebody had, here and in the other organization.
struct Had {
    way: Way,
    here: Vec<Issued>,
    there: Vec<Issued>,
}

/// Everybody who can leave, and where.
struct World {
    idps: Idps,
    company: Scene,
    braked: Scene,
    google: Scene,
    other: Scene,
}

impl World {
    async fn new(server: &Server, idps: Idps) -> Self {
        Self {
            company: Scene::governed(server, &idps, "acme").await,
            braked: Scene::braked(server, &idps, "braked").await,
            google: Scene::at_google(server, &idps).await,
            other: Scene::invited(server, &idps, "globex").await,
            idps,
        }
    }

    /// Somebody comes who is to leave that way, and gets everything that there is in both organizations.
    async fn arrive(&self, server: &Server, scene: &Scene, way: Way, name: &str) -> (Leaver, Had) {
        let (idps, other) = (&self.idps, &self.other);
        let leaver = match way {
            Way::PostInactive => scene.joined(server, other, name).await,
            Way::ClaimsLost | Way::ConnectionOfClaimsDeleted => scene.came(server, idps, other, name).await,
            Way::GoogleSuspended | Way::GoogleDeleted | Way::GoogleGroupLost | Way::HeldMissingReleased => {
                scene.of_google(server, idps, other, name).await
            }
            _ => scene.told(server, idps, other, name).await,
        };
        let there = (&*leaver.there, &*leaver.sessions_there);
        let there = every_kind(server, &other.org, there, &other.heir).await;
        let here = (&*leaver.member, &*leaver.sessions);
        let here = every_kind(server, &scene.org, here, &scene.heir).await;
        (leaver, Had { way, here, there })
    }

    async fn round(&self, server: &Server, askers: &Askers, (number, way): (usize, Way)) -> Had {
        let name = format!("leaver-{number}");
        let fresh = match way {
            Way::ClaimsLost | Way::ConnectionOfClaimsDeleted => {
                Some(Scene::of_claims(server, &self.idps, &format!("claims-{number}")).await)
            }
            Way::GroupSettled
            | Way::DirectoryDeleted
            | Way::ConnectionDeleted
            | Way::CertificateRetired
            | Way::MappingOfManyDeleted
            | Way::DirectoryOfManyDeleted => {
                Some(Scene::governed(server, &self.idps, &format!("fresh-{number}")).await)
            }
            _ => None,
        };
        let scene = fresh.as_ref().unwrap_or(match way {
            Way::HeldInactiveReleased
            | Way::HeldInactiveRefused
            | Way::HeldDeleteReleased
            | Way::HeldLossReleased => &self.braked,
            Way::GoogleSuspended | Way::GoogleDeleted | Way::GoogleGroupLost | Way::HeldMissingReleased => {
                &self.google
            }
            _ => &self.company,
        });
        let (leaver, had) = self.arrive(server, scene, way, &name).await;
        let leaving = Leaving { server, idps: &self.idps, scene, other: &self.other, way, leaver: &leaver };
        let ready = leaving.prepare().await;
        for (one, of) in had.all(scene, &self.other) {
            let answer = one.answer(server, &of.org).await;
            assert!(answer.is_good, "{way:?}: {} of {} is good before: {answer:?}", one.what, of.org.slug);
        }
        askers.watch(self.watched(scene, &name, way, &had));
        tokio::time::sleep(Duration::from_millis(5)).await;
        leaving.leave(&ready).await;
        askers.is_over();
        self.nothing_survives(server, scene, way, &had).await;
        if way.is_decided_later() {
            let state = &scene.shown(server, &leaver.member).await["state"];
            assert_eq!(state, "suspended", "{way:?}: held, and nothing has ended");
            leaving.decide_later().await;
            self.nothing_survives(server, scene, way, &had).await;
        }
        self.settled(server, scene, way, &leaver, &had).await;
        askers.rest().await;
        had
    }

    /// What the connections are to ask about.
    fn watched(&self, scene: &Scene, name: &str, way: Way, had: &Had) -> Watched {
        let mut watched = Watched::default();
        for one in had.here.iter().filter(|one| one.acts()) {
            let asked = Asked::everywhere(one, &scene.org, &format!("{name}'s {}", one.what));
            match (way.leaves(), way.fate_of(one)) {
                (_, Fate::Ends) => watched.leaving.extend(asked),
                (Left::AllButSessionsBy(_), _) => watched.staying.extend(asked),
                // Who takes an agent over has it when the end is carried out, not a moment before.
                (Left::Nothing | Left::Suspended, _) => {}
            }
        }
        for one in had.there.iter().filter(|one| one.acts()) {
            let what = format!("{name}'s {} in the other organization", one.what);
            watched.staying.extend(Asked::everywhere(one, &self.other.org, &what));
        }
        watched
    }

    /// Nothing that must end is good, and whatever is somewhere else still is.
    async fn nothing_survives(&self, server: &Server, scene: &Scene, way: Way, had: &Had) {
        for one in had.here.iter().filter(|one| way.fate_of(one) == Fate::Ends) {
            let answer = one.answer(server, &scene.org).await;
            assert!(!answer.is_good, "{way:?}: {} survived: {}", one.what, answer.said);
            for surface in Surface::of(one.kind) {
                let (is_admitted, said) = surface.ask(server, &Gate::of(&scene.org), &one.secret).await;
                assert!(!is_admitted, "{way:?}: {} survived at {surface:?}: {said}", one.what);
            }
        }
        for one in &had.there {
            let answer = one.answer(server, &self.other.org).await;
            assert!(answer.is_good, "{way:?}: {} was lost in the other organization: {answer:?}", one.what);
        }
    }

    /// What is left when everything is carried out: the state, the receipt, and what runs on.
    async fn settled(&self, server: &Server, scene: &Scene, way: Way, leaver: &Leaver, had: &Had) {
        let (state, receipts) = match way.leaves() {
            Left::Nothing => ("deprovisioned", 1),
            Left::Suspended => ("suspended", 0),
            Left::AllButSessionsBy(_) => ("active", 0),
        };
        let is_there = async || scene.shown(server, &leaver.member).await["state"] == state;
        if way.ends_later() {
            // Whoever reads sees them as they will be; the receipt comes with what was carried out.
            let is_carried_out = async || {
                let all = server.all(&scene.at("/receipts")).await;
                all.iter().filter(|receipt| receipt["member"] == *leaver.member).count() == receipts
            };
            let is_over = async || is_there().await && is_carried_out().await;
            let what = "an end that a job carries out";
            until_within(MAX_JOB_WAIT, what, async || is_over().await.then_some(())).await;
        }
        assert!(is_there().await, "{way:?}: {state}");
        for one in &had.here {
            let (fate, answer) = (way.fate_of(one), one.answer(server, &scene.org).await);
            assert_eq!(answer.is_good, fate != Fate::Ends, "{way:?}: {} {fate:?}: {answer:?}", one.what);
        }
        let all = server.all(&scene.at("/receipts")).await;
        let theirs: Vec<_> = all.iter().filter(|receipt| receipt["member"] == *leaver.member).collect();
        assert_eq!(theirs.len(), receipts, "{way:?}: {theirs:?}");
        let (Some((because, door)), Some(receipt)) = (way.told(), theirs.first()) else { return };
        let cause = &receipt["cause"];
        assert_eq!((&cause["because"], &cause["kind"]), (&because.as_str().into(), &door.as_str().into()));
        let count = |list: &str, is: &dyn Fn(&serde_json::Value) -> bool| {
            receipt[list].as_array().unwrap().iter().filter(|one| is(one)).count()
        };
        // Every token that ends has a line; those of the orphaned agent that the leaver never saw stop with the agent.
        let ended =
            had.here.iter().filter(|one| one.fate == Fate::Ends && one.what != "pause unseen").count();
        assert_eq!(count("ended", &|one| one["type"] == "token"), ended, "{way:?}: {receipt}");
        // Where a job ends them, the directory is gone before it, and its tokens with it.
        let gone = usize::from(way == Way::DirectoryOfManyDeleted);
        let rotate = had.here.iter().filter(|one| one.fate == Fate::Rotate).count() - gone;
        assert_eq!(count("kept", &|one| one["why"] == "rotate"), rotate, "{way:?}: {receipt}");
    }
}

impl Had {
    /// What lets its bearer act and must not any more, with what it is.
    fn ended(&self) -> impl Iterator<Item = (String, String)> {
        // Whoever was only suspended may have left since by another's round, and their agents have run on.
        let is_over = |one: &Issued| one.fate == Fate::Ends && self.way.fate_of(one) == Fate::Ends;
        let ended = self.here.iter().filter(move |one| one.acts() && is_over(one));
        ended.map(|one| (format!("{:?}: {}", self.way, one.what), one.secret.clone()))
    }

    /// What lets its bearer act in the other organization.
    fn elsewhere(&self) -> impl Iterator<Item = (String, String)> {
        let acts = self.there.iter().filter(|one| one.acts());
        acts.map(|one| {
            (format!("{:?}: {} in the other organization", self.way, one.what), one.secret.clone())
        })
    }

    /// Everything, and where it is.
    fn all<'s>(&'s self, here: &'s Scene, there: &'s Scene) -> impl Iterator<Item = (&'s Issued, &'s Scene)> {
        let here = self.here.iter().map(move |one| (one, here));
        here.chain(self.there.iter().map(move |one| (one, there)))
    }
}

/// Which ways are taken in which order: each in turn as often as there are rounds, at least once, those that take seconds no
/// oftener.
fn turns(rounds: usize) -> Vec<Way> {
    let all: Vec<Way> = ways::all().into_iter().filter(|way| *way != Way::Restored).collect();
    let often = all.iter().filter(|way| !way.is_slow()).copied().collect::<Vec<_>>();
    let turns = all.iter().copied().chain(often.into_iter().cycle());
    turns.take(rounds.max(all.len())).collect()
}

/// Every kind of token and every kind of session was among what ended, and among what stayed in the other organization.
fn must_be_all(everybody: &[Had]) {
    // No member ever sees a link for a first owner.
    let every: BTreeSet<&str> =
        TokenKind::ALL.into_iter().filter(|k| *k != TokenKind::OwnerLink).map(TokenKind::as_str).collect();
    let by: BTreeSet<Option<&str>> =
        ConnectionKind::ALL.into_iter().map(|kind| Some(kind.as_str())).chain([None]).collect();
    let here: Vec<&Issued> = everybody.iter().flat_map(|had| &had.here).collect();
    let there: Vec<&Issued> = everybody.iter().flat_map(|had| &had.there).collect();
    for all in [here, there] {
        let kinds: BTreeSet<&str> = all.iter().map(|one| one.kind.as_str()).collect();
        let sessions = all.iter().filter(|one| one.kind == TokenKind::Session);
        let doors: BTreeSet<Option<&str>> = sessions.map(|one| one.by.map(ConnectionKind::as_str)).collect();
        assert_eq!((&kinds, &doors), (&every, &by));
    }
}

async fn survivors(server: Server, idps: Idps, rounds: usize) {
    let world = World::new(&server, idps).await;
    let server = Arc::new(server);
    let askers = Askers::start(&server);
    let turns = turns(rounds);
    let mut everybody = Vec::new();
    for (number, way) in turns.iter().enumerate() {
        everybody.push(world.round(&server, &askers, (number, *way)).await);
    }
    let counted = askers.stop().await;
    must_be_all(&everybody);
    for (what, code) in codes(&server, everybody.iter().flat_map(Had::ended)).await {
        assert_ne!(code, "allowed", "{what} came back");
    }
    for (what, code) in codes(&server, everybody.iter().flat_map(Had::elsewhere)).await {
        assert_eq!(code, "allowed", "{what} was lost");
    }
    let server = Arc::into_inner(server).unwrap();
    restored::nobody_is_revived(server, &world, everybody).await;
    println!(
        "survivors: {} off-boardings by {} ways and a restore, {} checks, {} of them of leavers after the answer, {} survivors, \
         {} lost",
        turns.len(),
        ways::all().len() - 1,
        counted.checks(),
        counted.all_after(),
        counted.survivors,
        counted.lost
    );
    println!("survivors: after the answer {:?}, of whoever stayed {:?}", counted.after, counted.of_staying);
    assert_eq!((counted.survivors, counted.lost), (0, 0));
    for surface in Surface::ALL {
        let (after, stayed) = (counted.after.get(&surface), counted.of_staying.get(&surface));
        assert!(after.is_some() && stayed.is_some(), "{surface:?} refused {after:?} and admitted {stayed:?}");
    }
}

/// How many are off-boarded in the long tier.
const LONG: usize = 1000;
/// How many in every run on SQLite.
const EVERY: usize = 100;
/// Each way once, in every run on PostgreSQL: what differs there is how a way is stored, not how often it is taken.
const EACH_ONCE: usize = 0;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_leaver_is_admitted_after_the_answer_on_sqlite() {
    let idps = Idps::start().await;
    let server = Server::sqlite_with(idps.settings()).await;
    survivors(server, idps, if is_long() { LONG } else { EVERY }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_leaver_is_admitted_after_the_answer_on_postgres() {
    let idps = Idps::start().await;
    let server = Server::on_with(fresh_database().await, idps.settings()).await;
    survivors(server, idps, if is_long() { LONG } else { EACH_ONCE }).await;
}

//! A PostgreSQL that takes connections and says nothing: nobody waits long for it, and it is taken up again.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use portcullis_store::{Options, Priority, Store, StoreError};

use crate::database::{Database, Still};

/// How many ask at once: many more than there are threads.
const ASKERS: usize = 40;
/// What nobody waits longer for, of a server that is given up after two seconds.
const MAX_WAIT: Duration = Duration::from_secs(12);

/// A way to the database that can fall silent: it still takes connections then, and nothing comes back. Or it lets nobody in
/// any more, and whoever is in goes on.
struct Way {
    address: String,
    is_silent: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_silent, is_full) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (to, all) = (database.to_owned(), Arc::clone(&taken));
        let (silent, full) = (Arc::clone(&is_silent), Arc::clone(&is_full));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if full.load(Ordering::SeqCst) {
                    continue;
                }
                all.lock().unwrap().push(client.try_clone().unwrap());
                if !silent.load(Ordering::SeqCst) {
                    let server = TcpStream::connect(&to).unwrap();
                    carry(client.try_clone().unwrap(), server.try_clone().unwrap());
                    carry(server, client);
                }
            }
        });
        Self { address, is_silent, is_full, taken }
    }

    /// Ends what was taken, and says nothing to whoever comes from now on, or does.
    fn is_silent_now(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
        for taken in self.taken.lock().unwrap().drain(..) {
            let _ = taken.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// A way to that database, and the address by which it leads there.
fn a_way_to(database: &Database) -> (Way, String) {
    let Options::Postgres { url, .. } = database.options() else { panic!("not PostgreSQL") };
    let (user, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let way = Way::to(address);
    let url = format!("{user}@{}/{name}?connect_timeout=1", way.address);
    (way, url)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "all that ask wait until one moment together")]
fn whoever_waits_while_postgresql_takes_connections_and_says_nothing_is_refused_within_seconds() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let (way, url) = a_way_to(&database);
    let store =
        Store::connect(&Options::Postgres { url, connections: 2, tls: None }, Arc::new(Still)).unwrap();
    let answers = || {
        let (told, answers) = mpsc::channel();
        for number in 0..ASKERS {
            let told = told.clone();
            let ask = |tx: &mut portcullis_store::Tx<'_>| tx.database_now().map(|_| ());
            let reply = move |answer: Result<(), StoreError>| {
                let _ = told.send(answer);
            };
            if number % 2 == 0 {
                store.read(ask, reply);
            } else {
                store.write(Priority::Ordinary, ask, reply);
            }
        }
        let by = Instant::now() + MAX_WAIT;
        let next = || answers.recv_timeout(by.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).take(ASKERS).collect::<Vec<_>>()
    };
    way.is_silent_now(true);
    let refused = answers();
    // Also where that failed: the threads that wait for it must end.
    way.is_silent_now(false);
    assert_eq!(refused.len(), ASKERS, "so many were answered in time");
    for answer in refused {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(answers(), vec![Ok(()); ASKERS]);
}

#[test]
fn one_connection_that_cannot_be_made_anew_refuses_nobody_while_others_serve() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let (way, url) = a_way_to(&database);
    let store =
        Store::connect(&Options::Postgres { url, connections: 4, tls: None }, Arc::new(Still)).unwrap();
    way.is_full.store(true, Ordering::SeqCst);
    for cut in 0..2 {
        way.taken.lock().unwrap()[cut].shutdown(Shutdown::Both).unwrap();
        let (told, answers) = mpsc::channel();
        for number in 0..20 * ASKERS {
            let told = told.clone();
            let ask = |tx: &mut portcullis_store::Tx<'_>| tx.database_now().map(|_| ());
            let reply = move |answer: Result<(), StoreError>| told.send(answer).unwrap();
            if number % 2 == 0 {
                store.read(ask, reply);
            } else {
                store.write(Priority::Ordinary, ask, reply);
            }
        }
        drop(told);
        let refused: Vec<_> = answers.iter().filter_map(Result::err).collect();
        assert!(refused.is_empty(), "{} refused, {:?} first", refused.len(), refused.first());
    }
}

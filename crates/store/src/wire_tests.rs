//! Which URL is spoken to how, and what is said of a URL that is none.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio_postgres::config::{LoadBalanceHosts, TargetSessionAttrs};

use super::{Server, UrlError, Wire};

/// Every kind of host with every way to say how it is spoken to.
const WIRES: &[(&str, Wire)] = &[
    // This machine stays as it is.
    ("postgres://u@localhost/p", Wire::Local),
    ("postgres://u@LOCALHOST:6432/p", Wire::Local),
    ("postgres://u@127.0.0.1/p", Wire::Local),
    ("postgres://u@127.9.9.9:5433/p", Wire::Local),
    ("postgres://u@[::1]:5432/p", Wire::Local),
    ("postgres://u@[::ffff:127.0.0.1]/p", Wire::Local),
    ("postgres://u@%2Fvar%2Frun%2Fpostgresql/p", Wire::Local),
    ("postgres:///p?user=u&host=/var/run/postgresql", Wire::Local),
    ("postgres:///p?host=localhost", Wire::Local),
    ("postgres://u@localhost,127.0.0.1,[::1]/p", Wire::Local),
    ("postgres://u@localhost/p?sslmode=prefer", Wire::Local),
    ("postgres://u@localhost/p?sslmode=disable", Wire::Local),
    ("postgres://u@%2Ftmp/p?sslmode=disable", Wire::Local),
    // Unless it is asked to speak TLS.
    ("postgres://u@localhost/p?sslmode=require", Wire::Tls),
    ("postgres://u@[::1]/p?sslmode=require", Wire::Tls),
    ("postgres://u@localhost/p?sslmode=disable&sslmode=require", Wire::Tls),
    // Another machine.
    ("postgres://u@db.example.com/p", Wire::Tls),
    ("postgresql://u@db.example.com/p", Wire::Tls),
    ("postgres://u@db.example.com/p?sslmode=prefer", Wire::Tls),
    ("postgres://u@db.example.com/p?sslmode=require", Wire::Tls),
    ("postgres://u@10.0.0.5/p", Wire::Tls),
    ("postgres://u@[fd00::5]:5432/p", Wire::Tls),
    ("postgres:///p?user=u&host=db.example.com", Wire::Tls),
    // What looks like this machine and is not, or may not be.
    ("postgres://u@localhost.example.com/p", Wire::Tls),
    ("postgres://u@db.localhost/p", Wire::Tls),
    ("postgres://u@localhost./p", Wire::Tls),
    ("postgres://u@127.1/p", Wire::Tls),
    ("postgres://u@0.0.0.0/p", Wire::Tls),
    ("postgres://u@[::]/p", Wire::Tls),
    ("postgres://u@[::ffff:10.0.0.5]/p", Wire::Tls),
    ("postgres://u@var%2Frun/p", Wire::Tls),
    // One of several is enough, wherever it stands.
    ("postgres://u@localhost,db.example.com/p", Wire::Tls),
    ("postgres://u@db.example.com,localhost/p", Wire::Tls),
    ("postgres://u@localhost/p?host=db.example.com", Wire::Tls),
    ("postgres://u@localhost/p?host=/tmp", Wire::Local),
    ("postgres://u@%2Ftmp,10.0.0.5/p", Wire::Tls),
    ("postgres://u@,localhost/p", Wire::Tls),
    // An address is connected to in the host's stead.
    ("postgres://u@localhost/p?hostaddr=10.0.0.5", Wire::Tls),
    ("postgres://u@%2Ftmp/p?hostaddr=10.0.0.5", Wire::Tls),
    ("postgres://u@db.example.com/p?hostaddr=127.0.0.1", Wire::Local),
    ("postgres://u@db.example.com/p?hostaddr=127.0.0.1&sslmode=require", Wire::Tls),
    ("postgres:///p?hostaddr=10.0.0.5", Wire::Tls),
    ("postgres:///p?hostaddr=::1", Wire::Local),
    ("postgres://u@a,b/p?hostaddr=127.0.0.1,10.0.0.5", Wire::Tls),
    ("postgres://u@a,b/p?hostaddr=127.0.0.1", Wire::Tls),
    // In so many words.
    ("postgres://u@db.example.com/p?sslmode=disable", Wire::Clear),
    ("postgres://u@localhost,10.0.0.5/p?sslmode=disable", Wire::Clear),
    ("postgres://u@localhost/p?hostaddr=10.0.0.5&sslmode=disable", Wire::Clear),
    ("postgres://u@db.example.com/p?sslmode=require&sslmode=disable", Wire::Clear),
];

#[test]
fn whatever_is_not_this_machine_is_spoken_to_by_tls_unless_the_url_disables_it() {
    for (url, wire) in WIRES {
        assert_eq!(Wire::of_url(url), Ok(*wire), "{url}");
    }
}

#[test]
fn no_connection_that_needs_tls_is_begun_without_knowing_whom_to_trust() {
    for (url, wire) in WIRES {
        assert_eq!(Server::new(url, None).is_err(), *wire == Wire::Tls, "{url}");
    }
}

#[test]
fn a_url_that_is_none_is_refused_and_nothing_of_it_is_told() {
    let refused = [
        ("postgres://u:hush@db.example.com/p?sslmode=verify-full", UrlError::SslMode),
        ("postgres://u:hush@db.example.com/p?sslmode=", UrlError::SslMode),
        ("postgres://u:hush@db.example.com/p?sslrootcert=/hush.pem", UrlError::RootCertificate),
        ("postgres://u:hush@db.example.com:hush/p", UrlError::Malformed),
        ("postgres://u:p@ss?hush=@db.example.com/p", UrlError::Malformed),
        ("postgres://u:hush@[::1/p", UrlError::Malformed),
        ("postgres://u:hush@db.example.com/p?hostaddr=hush", UrlError::Malformed),
    ];
    for (url, error) in refused {
        assert_eq!(Wire::of_url(url), Err(error), "{url}");
        let said = Server::new(url, None).err().unwrap().to_string();
        assert!(said.contains(&error.to_string()) && !said.contains("hush"), "{url}: {said}");
    }
}

#[test]
fn a_server_that_vanishes_is_waited_for_as_long_as_the_url_says_or_for_seconds_and_a_standby_is_none() {
    let seconds = Duration::from_secs;
    let config = |url: &str| Server::new(url, None).ok().unwrap().config;
    let bare = config("postgres://u@localhost/p");
    assert_eq!(bare.get_connect_timeout(), Some(&seconds(5)));
    assert_eq!(bare.get_tcp_user_timeout(), Some(&seconds(10)));
    assert_eq!((bare.get_keepalives(), bare.get_keepalives_idle()), (true, seconds(10)));
    assert_eq!(bare.get_keepalives_interval(), Some(seconds(5)));
    assert_eq!(bare.get_keepalives_retries(), Some(3));
    let given = config(
        "postgres://u@localhost/p?connect_timeout=30&tcp_user_timeout=60&keepalives_idle=90&keepalives_interval=7\
         &keepalives_retries=9",
    );
    assert_eq!(given.get_connect_timeout(), Some(&seconds(30)));
    assert_eq!(given.get_tcp_user_timeout(), Some(&seconds(60)));
    assert_eq!(given.get_keepalives_idle(), seconds(90));
    assert_eq!(given.get_keepalives_interval(), Some(seconds(7)));
    assert_eq!(given.get_keepalives_retries(), Some(9));
    for url in ["postgres://u@localhost/p", "postgres://u@localhost/p?target_session_attrs=any"] {
        assert_eq!(config(url).get_target_session_attrs(), TargetSessionAttrs::ReadWrite, "{url}");
    }
}

#[test]
fn whoever_takes_a_connection_and_says_nothing_is_given_up_and_of_several_hosts_another_is_asked_first_then()
{
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/p?connect_timeout=1", silent.local_addr().unwrap());
    let server = Server::new(&url, None).ok().unwrap();
    assert_eq!(server.next().get_load_balance_hosts(), LoadBalanceHosts::Disable);
    #[expect(clippy::disallowed_methods, reason = "the test is about how long something is waited for")]
    let began = Instant::now();
    let unreached = server.open("SELECT 1").err().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(!unreached.is_answered && unreached.error.is_unavailable(), "{}", unreached.error);
    assert_eq!(server.next().get_load_balance_hosts(), LoadBalanceHosts::Random);
}

//! What a directory identifies somebody by, and what it only says of them.

use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::DirectoryUserId;
use portcullis_domain::role::Rank;
use portcullis_domain::tombstone::Identifier;

use crate::fixture::{NOW, directory, id, member, organization};

fn told(user_name: &str, external_id: Option<&str>, email_keys: &[&str]) -> DirectoryUser {
    DirectoryUser {
        id: id!(DirectoryUserId, 1),
        organization: organization(),
        directory: directory(1),
        membership: member(1),
        external_id: external_id.map(str::to_owned),
        user_name: user_name.to_owned(),
        display_name: String::new(),
        email_keys: email_keys.iter().map(|key| (*key).to_owned()).collect(),
        inactive_at: None,
        unconfirmed_at: None,
        attributes: "{}".to_owned(),
        believed_up_to: Rank::ROOT,
        created_at: NOW,
        updated_at: NOW,
    }
}

#[test]
fn a_person_is_identified_by_their_user_name_their_first_address_and_the_directorys_own_key() {
    let ada = told("Ada@Acme.test", Some("00u1"), &["ada.king@acme.test", "ada@home.test"]);
    let own = Identifier::external_id(directory(1), "00u1");
    let addresses = [Identifier::email("ada.king@acme.test"), Identifier::email("ada@acme.test")];
    let [first, by_name] = addresses;
    assert_eq!(ada.names(), [Identifier::user_name("ada@acme.test"), first, by_name, own]);
    assert_eq!(told("ada", None, &[]).names(), [Identifier::user_name("ada")]);
}

#[test]
fn everything_that_a_directory_calls_somebody_is_what_identifies_them_and_their_other_addresses() {
    let ada = told("Ada@Acme.test", Some("00u1"), &["ada.king@acme.test", "ada@acme.test", "ada@home.test"]);
    let both = [ada.names(), ada.other_addresses()].concat();
    assert_eq!(ada.identifiers(), both.iter().cloned().collect());
    assert_eq!((ada.identifiers().len(), both.len()), (5, 5), "each once");
}

#[test]
fn an_address_that_identifies_nobody_is_none_of_those_that_do() {
    let ada = told("Ada@Acme.test", None, &["ada.king@acme.test", "ada@acme.test", "ada@home.test"]);
    assert_eq!(ada.other_addresses(), [Identifier::email("ada@home.test")]);
    assert_eq!(told("ada", None, &["ada@acme.test"]).other_addresses(), []);
}

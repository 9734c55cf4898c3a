//! The chain that a stranger verifies: every change of a byte, a number or a place shows.

use portcullis_domain::audit::{
    Action, Digest, EventDraft, Target, canonical, commitment, commitment_to_text, content, genesis, link,
};
use portcullis_domain::cause::Cause;
use portcullis_domain::id::{EventId, OrganizationId};
use serde_json::{Value, json};

use crate::fixture::{NOW, id, organization};

const SALT: [u8; 16] = [7; 16];

fn text(number: usize) -> String {
    let target = |kind: &str, id: String| Target { kind: kind.to_owned(), id };
    let draft = EventDraft::new(Action::TokenEnded, target("token", format!("tok_{number}")))
        .about(target("membership", "mem_1".to_owned()))
        .with(json!({ "because": "off_boarded", "at": [1, 2, { "b": 1, "a": "é\u{1}\u{7f}\n\"\\/<" }] }));
    content(id!(EventId, number), organization(), NOW, &draft, &Cause::system()).expect("JSON")
}

fn event(number: usize) -> Value {
    serde_json::from_str(&text(number)).expect("JSON")
}

#[test]
fn the_text_of_an_event_is_its_canonical_form() {
    let content = text(1);
    assert_eq!(content.as_bytes(), canonical(&event(1)).expect("canonical"));
    assert_eq!(
        commitment_to_text(&SALT, content.as_bytes()),
        commitment(&SALT, &event(1)).expect("canonical")
    );
}

fn chain(events: &[Value]) -> Vec<Digest> {
    let mut links = vec![genesis(organization())];
    for (number, event) in (1..).zip(events) {
        let committed = commitment(&SALT, event).expect("canonical");
        links.push(link(&links[links.len() - 1], number, &committed));
    }
    links
}

#[test]
fn the_canonical_form_does_not_depend_on_the_order_of_keys() {
    let one = canonical(&json!({ "b": 1, "a": [true, null, "é\n"] })).expect("canonical");
    assert_eq!(one, "{\"a\":[true,null,\"é\\n\"],\"b\":1}".as_bytes());
    let mut other = serde_json::Map::new();
    other.insert("a".into(), json!([true, null, "é\n"]));
    other.insert("b".into(), json!(1));
    assert_eq!(canonical(&other).expect("canonical"), one);
}

#[test]
fn every_field_of_an_event_is_committed_to() {
    let whole = event(1);
    let before = commitment(&SALT, &whole).expect("canonical");
    for field in whole.as_object().expect("an object").keys() {
        let mut without = whole.clone();
        without.as_object_mut().expect("an object").remove(field);
        assert_ne!(commitment(&SALT, &without).expect("canonical"), before, "without `{field}`");
        let mut other = whole.clone();
        other[field] = json!("something else");
        assert_ne!(commitment(&SALT, &other).expect("canonical"), before, "another `{field}`");
    }
    let mut salt = SALT;
    salt[15] ^= 1;
    assert_ne!(commitment(&salt, &whole).expect("canonical"), before, "another salt");
}

#[test]
fn a_removed_a_changed_and_a_moved_event_change_every_link_after_them() {
    let events: Vec<Value> = (1..=6).map(event).collect();
    let links = chain(&events);
    let last = links[links.len() - 1];
    for at in 0..events.len() {
        let mut removed = events.clone();
        removed.remove(at);
        assert!(!chain(&removed).contains(&last), "without event {at}");
        let mut changed = events.clone();
        changed[at]["detail"] = json!({});
        assert_ne!(chain(&changed)[events.len()], last, "another event {at}");
        if at > 0 {
            let mut moved = events.clone();
            moved.swap(at - 1, at);
            assert_ne!(chain(&moved)[events.len()], last, "events {at} and before swapped");
        }
    }
}

#[test]
fn a_link_depends_on_its_number_and_on_what_is_before_it() {
    let committed = commitment(&SALT, &event(1)).expect("canonical");
    let first = genesis(organization());
    assert_ne!(link(&first, 1, &committed), link(&first, 2, &committed));
    assert_ne!(link(&first, 1, &committed), link(&[0; 32], 1, &committed));
}

#[test]
fn chains_of_two_organizations_cannot_be_swapped() {
    assert_ne!(genesis(organization()), genesis(id!(OrganizationId, 2)));
}

#[test]
fn an_event_says_who_what_why_and_when() {
    let said = event(3);
    assert_eq!(said["action"], "token.ended");
    assert_eq!(said["at"], NOW.rfc3339());
    assert_eq!(said["actor"], json!({ "type": "system", "id": "" }));
    assert_eq!(said["targets"][1], json!({ "type": "membership", "id": "mem_1" }));
    assert_eq!(said["cause"]["kind"], "system");
    assert_eq!(said["outcome"], "done");
}

#[test]
fn every_action_has_a_text_of_its_own_with_its_noun_first() {
    let mut seen = std::collections::BTreeSet::new();
    for action in Action::ALL {
        let (noun, verb) = action.as_str().split_once('.').expect("noun.verb");
        assert!(!noun.is_empty() && !verb.is_empty() && !action.meaning().is_empty());
        assert!(seen.insert(action.as_str()), "two actions are `{}`", action.as_str());
    }
}

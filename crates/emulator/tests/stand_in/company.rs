//! The sample company is the same on every run.

use std::collections::HashSet;

use portcullis_emulator::Company;

#[test]
fn the_sample_is_the_same_on_every_run() {
    assert_eq!(Company::sample("acme.example", 50), Company::sample("acme.example", 50));
    let small = Company::sample("acme.example", 5);
    assert_eq!(
        small.people[..],
        Company::sample("acme.example", 50).people[..5],
        "more people change no earlier one"
    );
}

#[test]
fn nobody_shares_an_id_or_an_address() {
    let company = Company::sample("acme.example", 5_000);
    let ids: HashSet<&str> = company.people.iter().map(|person| person.id.as_str()).collect();
    let addresses: HashSet<&str> = company.people.iter().map(|person| person.email.as_str()).collect();
    assert_eq!((ids.len(), addresses.len()), (5_000, 5_000));
}

#[test]
fn groups_hold_whom_they_say() {
    let company = Company::sample("acme.example", 12);
    let size = |name: &str| company.find_group(name).unwrap().members.len();
    assert_eq!(
        [size("Everyone"), size("Engineering"), size("Operations"), size("Contractors")],
        [12, 4, 3, 0]
    );
    let ada = company.find_person("ADA.ABEL@acme.example").unwrap();
    assert_eq!(company.list_groups_of(ada).count(), 4);
}

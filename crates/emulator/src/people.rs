//! The people and groups of a made-up company, the same on every run.
//!
//! Here so that demo and tests speak of the same names, and so that one company is seen alike by sign-in and SCIM.

/// Whether the provider lets somebody sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonState {
    /// Yes.
    Active,
    /// No; SCIM says `active:false`.
    Deactivated,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider's own id: the `sub` of tokens and the `externalId` of SCIM.
    pub id: String,
    /// SCIM's `userName`.
    pub user_name: String,
    /// Address.
    pub email: String,
    /// First name.
    pub given_name: String,
    /// Last name.
    pub family_name: String,
    /// Whether sign-in works.
    pub state: PersonState,
}

impl Person {
    /// Both names.
    #[must_use]
    pub fn display_name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }

    /// Whether `hint` names this person: id, user name or address, the last two without case.
    #[must_use]
    pub fn is_called(&self, hint: &str) -> bool {
        self.id == hint || self.user_name.eq_ignore_ascii_case(hint) || self.email.eq_ignore_ascii_case(hint)
    }
}

/// A group of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The provider's own id: SCIM's `externalId`.
    pub external_id: String,
    /// Its name.
    pub display_name: String,
    /// Ids of its people.
    pub members: Vec<String>,
}

/// A company as its identity provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The domain of its addresses.
    pub domain: String,
    /// Its people.
    pub people: Vec<Person>,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// Most people of a sample.
pub(crate) const MAX_SAMPLE_PEOPLE: usize = 100_000;

const GIVEN_NAMES: [&str; 24] = [
    "Ada",
    "Barbara",
    "Claude",
    "Donald",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Ida",
    "John",
    "Katherine",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Olga",
    "Peter",
    "Radia",
    "Sophie",
    "Tim",
    "Ursula",
    "Vint",
    "Whitfield",
    "Yvonne",
    "Zuse",
];
const FAMILY_NAMES: [&str; 16] = [
    "Abel", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Huber", "Ito", "Jansen",
    "Kowalski", "Lind", "Moreau", "Novak", "Okafor", "Petrov",
];

impl Company {
    /// So many people (100,000 at most) at `domain`. Everybody is in *Everyone*; every third in *Engineering*, every
    /// fourth in *Operations*, every tenth in *Platform Admins*, nobody in *Contractors*.
    #[must_use]
    pub fn sample(domain: &str, people: usize) -> Self {
        let people: Vec<Person> =
            (0..people.min(MAX_SAMPLE_PEOPLE)).map(|at| sample_person(domain, at)).collect();
        let group = |name: &str, every: Option<usize>| Group {
            external_id: format!("group-{}", name.to_ascii_lowercase().replace(' ', "-")),
            display_name: name.to_owned(),
            members: match every {
                Some(every) => people.iter().step_by(every).map(|person| person.id.clone()).collect(),
                None => Vec::new(),
            },
        };
        let groups = vec![
            group("Everyone", Some(1)),
            group("Engineering", Some(3)),
            group("Operations", Some(4)),
            group("Platform Admins", Some(10)),
            group("Contractors", None),
        ];
        Self { domain: domain.to_owned(), people, groups }
    }

    /// Whom `hint` names.
    #[must_use]
    pub fn find_person(&self, hint: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.is_called(hint))
    }

    /// The same, to be changed.
    pub fn find_person_mut(&mut self, hint: &str) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.is_called(hint))
    }

    /// The group of this name.
    #[must_use]
    pub fn find_group(&self, display_name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.display_name == display_name)
    }

    /// The groups that somebody is in.
    pub fn list_groups_of<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = &'a Group> {
        self.groups.iter().filter(|group| group.members.contains(&person.id))
    }
}

pub(crate) fn sample_person(domain: &str, at: usize) -> Person {
    let pick = |names: &[&'static str], at: usize| names.get(at % names.len()).copied().unwrap_or("Ada");
    let given = pick(&GIVEN_NAMES, at);
    let family = pick(&FAMILY_NAMES, at / GIVEN_NAMES.len() + at);
    let round = at / (GIVEN_NAMES.len() * FAMILY_NAMES.len());
    let number = if round == 0 { String::new() } else { round.to_string() };
    let email = format!("{}.{}{number}@{domain}", given.to_ascii_lowercase(), family.to_ascii_lowercase());
    Person {
        id: format!("person-{at:06}"),
        user_name: email.clone(),
        email,
        given_name: given.to_owned(),
        family_name: family.to_owned(),
        state: PersonState::Active,
    }
}

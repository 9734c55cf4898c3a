//! Each kind of rewriting on a small source: what is written still parses, means the same without a mutant, and is what
//! cargo-mutants would have written with one.

use std::collections::BTreeSet;

use super::judge::{Beside, Outcome};
use super::list::{Genre, Mutant, Place, Span};
use super::plain::Plain;
use super::reach::Went;
use super::rewrite::rewrite;
use super::sites::{self, Found};
use super::trial::Database;
use super::{Summary, Wish, is_like, is_open, shard};

/// A mutant of what begins with `at`, which is once in `text`.
fn mutant(text: &str, at: &str, genre: Genre, replacement: &str) -> Mutant {
    let start = text.find(at).unwrap();
    let before = &text[..start];
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    Mutant {
        name: format!("{genre:?}"),
        file: "src/lib.rs".to_owned(),
        span: Span { start: Place { line, column } },
        replacement: replacement.to_owned(),
        genre,
    }
}

fn found(text: &str, mutants: &[Mutant]) -> Found {
    let numbered: Vec<(u32, &Mutant)> = (0u32..).zip(mutants).collect();
    sites::find(text, &numbered, &BTreeSet::new()).unwrap()
}

/// The text with every mutant of `mutants` in it, which parses.
fn written(text: &str, mutants: &[Mutant]) -> String {
    let found = found(text, mutants);
    assert_eq!(found.numbers.len(), mutants.len(), "each has its site");
    let written = rewrite(text, &found.sites).text;
    syn::parse_file(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    written.replace("crate::mutant::is", "is")
}

/// The same, of one expression.
fn expression(text: &str, mutants: &[(&str, Genre, &str)]) -> String {
    let (before, after) = ("fn f() { x(", ") }");
    let text = format!("{before}{text}{after}");
    let mutants: Vec<Mutant> =
        mutants.iter().map(|(at, genre, replacement)| mutant(&text, at, *genre, replacement)).collect();
    let written = written(&text, &mutants);
    written.strip_prefix(before).unwrap().strip_suffix(after).unwrap().to_owned()
}

#[test]
fn where_none_is_chosen_the_code_is_as_it_was_written() {
    assert!(!super::switch::is(0) && !super::switch::is(1));
}

const OPERATOR: Genre = Genre::BinaryOperator;

#[test]
fn a_function_gives_another_value_and_a_constant_one_is_constant_no_longer() {
    let text = "const fn f(a: bool) -> bool {\n    a\n}\n";
    let mutants = [mutant(text, "a\n", Genre::FnValue, "true"), mutant(text, "a\n", Genre::FnValue, "false")];
    assert_eq!(
        written(text, &mutants),
        " fn f(a: bool) -> bool {\n    if is(0) { return true; } if is(1) { return false; } a\n}\n"
    );
    let kept = BTreeSet::from(["f".to_owned()]);
    let numbered: Vec<(u32, &Mutant)> = (0u32..).zip(&mutants).collect();
    assert!(sites::find(text, &numbered, &kept).unwrap().sites.is_empty());

    let opaque = "fn f() -> impl Iterator<Item = u8> { a }";
    let mutant = mutant(opaque, "a }", Genre::FnValue, "::std::iter::empty()");
    assert!(found(opaque, &[mutant]).sites.is_empty());
}

#[test]
fn operators_evaluate_their_operands_once_and_in_their_order() {
    assert_eq!(expression("a == b", &[("==", OPERATOR, "!=")]), "(((a) == (b)) ^ is(0))");
    assert_eq!(
        expression("a && b", &[("&&", OPERATOR, "||")]),
        "({ let mutant_left: bool = a; if mutant_left ^ is(0) { b } else { mutant_left } })"
    );
    assert_eq!(
        expression("a || b", &[("||", OPERATOR, "&&")]),
        "({ let mutant_left: bool = a; if mutant_left ^ is(0) { mutant_left } else { b } })"
    );
    assert_eq!(
        expression("a < b", &[("<", OPERATOR, "=="), ("<", OPERATOR, "<=")]),
        "(match (&(a), &(b)) { (mutant_left, mutant_right) => \
         if is(0) { *mutant_left == *mutant_right } else if is(1) { *mutant_left <= *mutant_right } else \
         { *mutant_left < *mutant_right } })"
    );
    assert_eq!(
        expression("a + b", &[("+", OPERATOR, "-")]),
        "(match ((a), (b)) { (mutant_left, mutant_right) => \
         if is(0) { mutant_left - mutant_right } else { mutant_left + mutant_right } })"
    );
    assert_eq!(
        expression("a += b", &[("+=", OPERATOR, "-=")]),
        "(match (b) { mutant_right => if is(0) { a -= mutant_right } else { a += mutant_right } })"
    );
    assert_eq!(
        expression("!a", &[("!", Genre::UnaryOperator, "")]),
        "(match (a) { mutant_of => if is(0) { mutant_of } else { !mutant_of } })"
    );
}

/// The forms of `&&`, `||` and the guard, with their operands counted, against what they stand for.
#[test]
fn what_is_written_for_booleans_means_what_it_stands_for() {
    for (a, b, is) in [false, true].iter().flat_map(|a| {
        [false, true].iter().flat_map(move |b| [false, true].iter().map(move |is| (*a, *b, *is)))
    }) {
        let and = if a ^ is { b } else { a };
        let or = if a ^ is { a } else { b };
        assert_eq!((and, or), if is { (a || b, a && b) } else { (a && b, a || b) });
    }
}

#[test]
fn one_operator_is_within_another() {
    let nested = expression(
        "!a && b == c",
        &[("!", Genre::UnaryOperator, ""), ("&&", OPERATOR, "||"), ("==", OPERATOR, "!=")],
    );
    assert_eq!(
        nested,
        "({ let mutant_left: bool = (match (a) { mutant_of => if is(0) { mutant_of } else { !mutant_of } }); \
         if mutant_left ^ is(1) { (((b) == (c)) ^ is(2)) } else { mutant_left } })"
    );
}

#[test]
fn an_arm_goes_and_a_guard_is_true_or_false_around_the_operators_in_it() {
    let text = "fn f() {\n match a {\n  B => b,\n  C if c == d => e,\n  _ => {}\n }\n}\n";
    let mutants = [
        mutant(text, "B", Genre::MatchArm, ""),
        mutant(text, "c ==", Genre::MatchArmGuard, "true"),
        mutant(text, "c ==", Genre::MatchArmGuard, "false"),
        mutant(text, "==", OPERATOR, "!="),
    ];
    let written = written(text, &mutants);
    assert!(written.contains("B if !is(0) => b,"), "{written}");
    assert!(written.contains("C if (is(1) || !is(2) && ((((c) == (d)) ^ is(3)))) => e,"), "{written}");
}

#[test]
fn an_arm_stays_where_none_takes_the_rest_without_a_guard() {
    let text = "fn f() {\n match a {\n  B if c => b,\n  _ if d => e,\n  B => f,\n  C => g,\n }\n}\n";
    let mutants = [mutant(text, "B if", Genre::MatchArm, ""), mutant(text, "B =>", Genre::MatchArm, "")];
    let found = found(text, &mutants);
    assert_eq!(found.unviable, BTreeSet::from([1]));
    assert_eq!(found.numbers, BTreeSet::from([0]), "what has a guard may go");
}

#[test]
fn a_field_is_left_to_the_base() {
    let text = "S { a: b, c, ..d }";
    assert_eq!(
        expression(text, &[("a:", Genre::StructField, ""), ("c,", Genre::StructField, "")]),
        "(if is(0) { S {  c, ..d } } else if is(1) { S { a: b,  ..d } } else { S { a: b, c, ..d } })"
    );
}

#[test]
fn a_condition_that_binds_is_not_wrapped_and_what_stands_in_a_constant_has_no_site() {
    let text = "fn f() { if a && let B = c && d == e {} }\nconst C: u8 = 1 + 2;\n";
    let mutants = [
        mutant(text, "&& let", OPERATOR, "||"),
        mutant(text, "&& d", OPERATOR, "||"),
        mutant(text, "==", OPERATOR, "!="),
        mutant(text, "+", OPERATOR, "-"),
    ];
    let found = found(text, &mutants);
    assert_eq!(found.unviable, BTreeSet::from([0, 1]));
    assert_eq!(found.numbers, BTreeSet::from([2]));
}

#[test]
fn an_error_is_that_of_the_narrowest_stretch_around_it() {
    let text = "fn f() -> u8 { a + b }";
    let mutants = [
        mutant(text, "a +", Genre::FnValue, "0"),
        mutant(text, "+", OPERATOR, "-"),
        mutant(text, "+", OPERATOR, "*"),
    ];
    let rewritten = rewrite(text, &found(text, &mutants).sites);
    let around = |part: &str| {
        let start = rewritten.text.find(part).unwrap();
        rewritten.around(&(start..start + part.len())).to_vec()
    };
    assert_eq!(around("return 0"), [0]);
    assert_eq!(around("mutant_left * mutant_right"), [2]);
    assert_eq!(around("mutant_left + mutant_right"), [1, 2]);
    assert!(around("fn f").is_empty());
}

#[test]
fn a_wish_names_files_a_part_and_a_configuration() {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let wish = Wish::parse(&words(&["--only", "crates/*/proof.rs", "--shard", "1/3"])).unwrap();
    let one = mutant("a == b", "==", OPERATOR, "!=");
    let in_file = |file: &str| Mutant { file: file.to_owned(), ..one.clone() };
    assert!(wish.wants(4, &in_file("crates/service/src/proof.rs")));
    assert!(!wish.wants(3, &in_file("crates/service/src/proof.rs")));
    assert!(!wish.wants(4, &in_file("crates/service/src/access.rs")));
    assert!(is_like("a/b.rs", "a/b.rs") && is_like("a/b.rs", "*.rs") && !is_like("a/b.rs", "b.rs"));
    assert!(shard("3/3").is_none() && shard("3").is_none());
    assert!(Wish::parse(&words(&["--only"])).is_err() && Wish::parse(&words(&["all"])).is_err());
}

#[test]
fn a_run_is_clean_only_where_everything_is_judged_to_its_end_and_nothing_survived() {
    let of = |outcome, went: &[Went]| {
        let told = [(Outcome::Caught, 1), (outcome, 2)]
            .map(|(outcome, number)| (outcome, number, String::new(), String::new()));
        let unsteady = went.iter().map(|went| ("a test".to_owned(), *went)).collect();
        Summary::of(told.to_vec(), unsteady, &BTreeSet::new()).is_clean
    };
    for (outcome, must) in [
        (Outcome::Survived, false),
        (Outcome::SurvivedOnSqlite, false),
        (Outcome::Unswitchable, false),
        (Outcome::OutOfTime, false),
        (Outcome::Caught, true),
        (Outcome::Endless, true),
        (Outcome::CaughtPlainly, true),
        (Outcome::Unviable, true),
    ] {
        assert_eq!((of(outcome, &[]), outcome.is_settled()), (must, must), "{outcome:?}");
    }
    assert!(!of(Outcome::Caught, &[Went::Badly]), "a test that is red without a mutant proves nothing");
    let wavering = BTreeSet::from(["a test".to_owned()]);
    let summary = Summary::of(Vec::new(), Vec::new(), &wavering);
    assert!(
        !summary.is_clean && summary.text.contains("`a test` failed and then passed alone"),
        "{}",
        summary.text
    );
}

#[test]
fn whatever_ran_out_of_time_beside_others_is_asked_once_more_alone_where_it_did() {
    const SQLITE: Database = Database::Sqlite;
    const POSTGRES: Database = Database::Postgres;
    let turns = |so_far| {
        let turns =
            [SQLITE, POSTGRES].into_iter().flat_map(|on| [(on, Beside::Others), (on, Beside::Nobody)]);
        turns.filter(|(on, beside)| is_open(so_far, *on, *beside)).collect::<Vec<_>>()
    };
    assert_eq!(turns(None), [(SQLITE, Beside::Others), (POSTGRES, Beside::Others)]);
    assert_eq!(turns(Some((Outcome::SurvivedOnSqlite, SQLITE))), [(POSTGRES, Beside::Others)]);
    assert_eq!(turns(Some((Outcome::OutOfTime, SQLITE))), [(SQLITE, Beside::Nobody)]);
    assert_eq!(turns(Some((Outcome::OutOfTime, POSTGRES))), [(POSTGRES, Beside::Nobody)]);
    for outcome in [Outcome::Caught, Outcome::Survived, Outcome::Endless] {
        assert_eq!(turns(Some((outcome, SQLITE))), []);
    }
}

#[test]
fn what_has_no_switch_is_what_the_plain_run_of_this_code_says_and_its_words_are_told() {
    let folder = std::env::temp_dir().join(format!("portcullis-plain-{}", std::process::id()));
    let out = folder.join("mutants.out");
    let (caught, other) = ("a.rs:1:2: replace + with - in f", "a.rs:3:4: replace x -> Y<'_> with Z(1)");
    let before = Plain::read(folder.clone());
    assert_eq!(before.outcome(caught), Outcome::Unswitchable);
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("caught.txt"), format!("{caught}\n")).unwrap();
    std::fs::write(out.join("unviable.txt"), "b\n").unwrap();
    let plain = Plain::read(folder.clone());
    std::fs::remove_dir_all(&folder).unwrap();
    let outcomes = [caught, "b", other].map(|name| plain.outcome(name));
    assert_eq!(outcomes, [Outcome::CaughtPlainly, Outcome::Unviable, Outcome::Unswitchable]);
    let told = plain.order(std::path::Path::new("x.toml"), [other].into_iter());
    assert!(told.contains(r"--re '^a\.rs:3:4: replace x -> Y<._> with Z\(1\)$'"), "{told}");
    assert_eq!(plain.order(std::path::Path::new("x.toml"), std::iter::empty()), "");
}

//! What the command line says of itself.

use clap::{Command, CommandFactory as _};

use super::{Cli, MAX_HELP_WIDTH};

/// A command and all below it.
fn all(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().flat_map(all);
    std::iter::once(command.clone()).chain(below).collect()
}

#[test]
fn no_line_of_any_help_is_wider_than_a_page() {
    let mut root = Cli::command();
    root.build();
    let commands = all(&root);
    assert!(commands.len() > 10, "{} commands", commands.len());
    for mut command in commands {
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            assert!(!help.is_empty());
            for line in help.lines() {
                let width = line.chars().count();
                assert!(width <= MAX_HELP_WIDTH, "{width} columns in `{}`: {line}", command.get_name());
            }
        }
    }
}

#[test]
fn the_help_begins_with_what_portcullis_is_and_not_with_what_a_crate_of_it_is() {
    let help = Cli::command().render_help().to_string();
    assert!(help.starts_with("The identity control plane of an AI platform."), "{help}");
}

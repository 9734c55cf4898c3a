//! The settings as flags of the command line, made from the table.

use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Fallback, Kind, PLACE, Reach, Setting, TABLE};

/// The flag that names the configuration file.
const CONFIG_FLAG: &str = "config";

/// What the flags gave.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Each setting with its text.
    pub flags: Vec<(&'static Setting, String)>,
    /// The configuration file.
    pub config: Option<PathBuf>,
}

/// Every setting as a flag: for `serve` and what looks at the whole configuration.
#[derive(Clone, Debug, Default)]
pub struct AllFlags(pub Given);

/// Only where the state lies: for the commands beside `serve`.
#[derive(Clone, Debug, Default)]
pub struct PlaceFlags(pub Given);

macro_rules! flags {
    ($name:ident, $settings:expr) => {
        impl clap::FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(read(&$settings, matches)))
            }
            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                self.0 = read(&$settings, matches);
                Ok(())
            }
        }
        impl clap::Args for $name {
            fn augment_args(command: Command) -> Command {
                augment(&$settings, command)
            }
            fn augment_args_for_update(command: Command) -> Command {
                augment(&$settings, command)
            }
        }
    };
}

flags!(AllFlags, TABLE);
flags!(PlaceFlags, PLACE);

fn augment(settings: &[&'static Setting], command: Command) -> Command {
    let config = Arg::new(CONFIG_FLAG)
        .long(CONFIG_FLAG)
        .value_name("FILE")
        .value_parser(PathBufValueParser::new())
        .help("The configuration file [default: portcullis.toml, if it exists] [env: PORTCULLIS_CONFIG]");
    settings
        .iter()
        .filter(|setting| setting.reach == Reach::Everywhere)
        .fold(command.arg(config), |command, setting| command.arg(flag(setting)))
}

fn flag(setting: &'static Setting) -> Arg {
    let fallback = match setting.fallback {
        Fallback::Value("") => "none",
        Fallback::Value(text) | Fallback::Derived(text) | Fallback::Unset(text) => text,
    };
    let variable = setting.variable();
    let short = format!("{} [default: {fallback}] [env: {variable}]", setting.doc);
    let long = format!("{}\n\n{}\n\n[default: {fallback}]\n[env: {variable}]", setting.doc, setting.guards);
    let arg = Arg::new(setting.flag())
        .long(setting.flag())
        .value_name(setting.kind.placeholder())
        .action(ArgAction::Set)
        .help(short)
        .long_help(long)
        .hide_short_help(!setting.section.is_empty());
    let arg = if setting.section.is_empty() {
        arg
    } else {
        arg.help_heading(format!("Options of [{}]", setting.section))
    };
    match setting.kind {
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg,
    }
}

fn read(settings: &[&'static Setting], matches: &ArgMatches) -> Given {
    let flags = settings
        .iter()
        .filter(|setting| setting.reach == Reach::Everywhere)
        .filter_map(|setting| matches.get_one::<String>(&setting.flag()).map(|text| (*setting, text.clone())))
        .collect();
    Given { flags, config: matches.get_one::<PathBuf>(CONFIG_FLAG).cloned() }
}

//! The help of every command, as it is printed at 100 columns. It is the manual: a change to it is to be
//! seen.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test or benchmark stops where its ground gives way, and a table of cases reads better whole"
)]

use clap::CommandFactory;
use countersign::cli::Cli;

/// Every command with its full name, parents first.
fn walk(command: &mut clap::Command, path: &str, visit: &mut dyn FnMut(&str, &mut clap::Command)) {
    visit(path, command);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|name| name != "help")
        .collect();
    for name in names {
        let sub = command.find_subcommand_mut(&name).unwrap();
        walk(sub, &format!("{path}-{name}"), visit);
    }
}

fn built() -> clap::Command {
    let mut command = Cli::command().term_width(100);
    command.build();
    command
}

#[test]
fn help_of_every_command() {
    let mut count = 0;
    walk(&mut built(), "countersign", &mut |path, command| {
        count += 1;
        insta::assert_snapshot!(path, command.render_long_help().to_string());
    });
    assert!(count > 40, "only {count} commands were found");
}

#[test]
fn every_command_and_argument_explains_itself() {
    walk(&mut built(), "countersign", &mut |path, command| {
        assert!(command.get_about().is_some(), "{path} has no help");
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{path} {id} has no help");
        }
    });
}

#[test]
fn help_is_plain_text_no_wider_than_a_terminal() {
    walk(&mut built(), "countersign", &mut |path, command| {
        for line in command.render_long_help().to_string().lines() {
            // A usage line is one line, so that it can be copied.
            let fits = line.starts_with("Usage: ") || line.chars().count() <= 100;
            assert!(fits, "{path}: {line}");
            assert!(!line.contains('\u{1b}'), "{path}: {line}");
        }
    });
}

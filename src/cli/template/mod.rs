//! `template`: what onboarding starts from, and `client onboard`, `operator onboard`.

mod apply;
mod file;

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::app::App;
use super::args::ChangeArgs;
use super::deliver::DeliverArgs;
use super::error::CliError;
use super::output::{List, Row, Style};
use crate::display::table::Align::{self, Left};
use file::Template;

pub use apply::{client, operator};

/// The templates that come with the program.
const SHIPPED: &[(&str, &str)] = &[
    (
        "approver",
        include_str!("../../../assets/templates/approver.toml"),
    ),
    (
        "auditor",
        include_str!("../../../assets/templates/auditor.toml"),
    ),
    (
        "database-client",
        include_str!("../../../assets/templates/database-client.toml"),
    ),
    (
        "internal-service",
        include_str!("../../../assets/templates/internal-service.toml"),
    ),
    (
        "on-call",
        include_str!("../../../assets/templates/on-call.toml"),
    ),
    (
        "partner",
        include_str!("../../../assets/templates/partner.toml"),
    ),
];

/// Verbs of `template`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The templates that come with this program
    List,
    /// Print a template, to be used as it is or as the beginning of another
    Show {
        /// Its name, or a file
        #[arg(value_name = "TEMPLATE")]
        template: String,
    },
    /// Check a template file: fields, words, names, placeholders; says file, line and what is expected
    Check {
        /// The file
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: std::path::PathBuf,
    },
}

/// Arguments of `onboard`.
#[derive(Debug, Args)]
pub struct Onboard {
    /// The template: a name from `template list`, or a file
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// A value for one of the template's variables; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub values: Vec<(String, String)>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `operator onboard`.
#[derive(Debug, Args)]
pub struct OnboardOperator {
    #[command(flatten)]
    pub onboard: Onboard,
    #[command(flatten)]
    pub deliver: DeliverArgs,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as name=checkout-api".to_owned()),
    }
}

/// A template in the list.
#[derive(Serialize)]
struct TemplateRow {
    name: &'static str,
    noun: &'static str,
    summary: String,
    variables: Vec<String>,
}

impl Row for TemplateRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("NAME", Left),
        ("FOR", Left),
        ("WHAT", Left),
        ("VARIABLES", Left),
    ];

    fn cells(&self, _style: &Style) -> Vec<String> {
        vec![
            self.name.to_owned(),
            self.noun.to_owned(),
            self.summary.clone(),
            self.variables.join(" "),
        ]
    }
}

/// Runs a verb.
///
/// # Errors
/// What is wrong with a template.
pub fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List => {
            let style = app.style();
            let mut list = List::begin::<TemplateRow>(&mut *app.io.out, style)?;
            for (name, _) in SHIPPED {
                let template = find(name)?;
                list.row(&TemplateRow {
                    name,
                    noun: template.noun(),
                    summary: template.summary().to_owned(),
                    variables: template.variables().keys().cloned().collect(),
                })?;
            }
            Ok(list.end()?)
        }
        Verb::Show { template } => {
            let template = find(template)?;
            for line in template.text().lines() {
                let line = crate::display::sanitize::safe(line).into_owned();
                app.io.out.write_all(line.as_bytes())?;
                app.io.out.write_all(b"\n")?;
            }
            Ok(())
        }
        Verb::Check { file } => {
            let template = Template::read(file)?;
            app.say(&format!(
                "{} is a template for {} {}",
                file.display(),
                if template.noun() == "client" {
                    "a"
                } else {
                    "an"
                },
                template.noun()
            ))
        }
    }
}

/// The template of this name, or in this file.
fn find(name: &str) -> Result<Template, CliError> {
    if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return Template::parse(Path::new(name), (*text).to_owned());
    }
    let path = Path::new(name);
    if name.contains('/') || path.extension().is_some_and(|ending| ending == "toml") {
        return Template::read(path);
    }
    let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
    Err(CliError::Usage(format!(
        "no template {name:?}: expected one of {}, or a file that ends in .toml",
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::file::Newcomer;
    use super::*;

    fn wrong(text: &str) -> String {
        let text = text.to_owned();
        super::super::error::describe(&Template::parse(Path::new("t.toml"), text).unwrap_err())
            .join("\n")
    }

    #[test]
    fn what_is_shipped_is_sound_and_in_order() {
        let mut names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert!(names.iter().eq(SHIPPED.iter().map(|(name, _)| name)));
        for (name, _) in SHIPPED {
            let template = find(name).unwrap();
            let values: Vec<_> = template
                .variables()
                .iter()
                .filter(|(_, variable)| variable.default.is_none())
                .map(|(name, _)| (name.clone(), "some/thing".to_owned()))
                .collect();
            template.fill(&values).unwrap();
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let set = |text: &str| assignment(text).unwrap();
        let template = find("internal-service").unwrap();
        let values = [set("name=checkout-api"), set("owner=payments")];
        let Newcomer::Client(client) = template.fill(&values).unwrap() else {
            panic!("a client's");
        };
        assert_eq!(client.name, "checkout-api");
        assert_eq!(client.contact, "#payments");
        assert_eq!(client.requests[0].credential, "payments/checkout-api");
        assert_eq!(client.requests[0].ttl_s, 30 * 86_400);

        let missing = template.fill(&values[..1]).unwrap_err().to_string();
        assert!(missing.contains("--set owner=… (The team"), "{missing}");
        let unknown = template.fill(&[set("colour=red")]).unwrap_err().to_string();
        assert!(
            unknown.contains("it has calls, environment, name, owner"),
            "{unknown}"
        );
        let odd = [set("name=Checkout"), set("owner=payments")];
        let odd = template.fill(&odd).unwrap_err().to_string();
        assert!(
            odd.starts_with("internal-service:15:8: \"Checkout\": expected 1 to 128 of a-z"),
            "{odd}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_what_is_expected() {
        let client = |more: &str| {
            format!(
                "summary = \"x\"\n[client]\nname = \"a\"\nowner = \"b\"\nenvironment = \"staging\"\ntier = \"low\"\n{more}"
            )
        };
        assert!(Template::parse(Path::new("t.toml"), client("")).is_ok());
        let request = "[[request]]\ncredential = \"c\"\nkind = \"api_key\"\naudience = \"d\"\nreason = \"e\"\n";
        for (text, expected) in [
            (client("colour = \"red\"\n"), "t.toml:7:1: unknown field `colour`, expected one of `name`"),
            (client("").replace("low", "lowish"), "t.toml:6:8: \"lowish\" is not a known tier: expected one of low"),
            (client("").replace("\"a\"", "\"{a}\""), "t.toml:3:8: {a} is no variable"),
            (client("").replace("\"a\"", "\"{a\""), "t.toml:3:8: a { without its }"),
            (client("dependents = [\"x\", \"x\"]\n"), "t.toml:7:20: is in the list already"),
            (client(&format!("{request}ttl = \"soon\"\n")), "t.toml:12:7: expected a whole number with s, m, h, d or w"),
            (client(&format!("{request}ttl = \"1s\"\n")), "t.toml:12:7: \"1s\": expected 60 to"),
            ("summary = \"x\"\n".to_owned(), "t.toml:1:1: expected one of [client] and [operator]"),
            (
                "summary = \"x\"\n[operator]\nname = \"a\"\ntoken_ttl = \"1d\"\nroles = { moon = [\"viewer\"] }\n".to_owned(),
                "t.toml:5:18: \"moon\" is not a known environment",
            ),
            ("summary = \n".to_owned(), "t.toml:1:"),
        ] {
            let said = wrong(&text);
            assert!(said.starts_with(expected), "{said}\n{text}");
        }
    }
}

//! The pages that are made from something else: the cookbook from `policies/`, the reference of the
//! command line from the commands themselves.
//!
//! A page has one generated part between two comments; what stands around it is written by hand.
//! `UPDATE=1 cargo test --test it docs` renews the part.

use std::fmt::Write as _;
use std::fs;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use serde_json::Value;

use super::root;

/// The shipped policies in the order of the cookbook: versions, numbers, times, what moves.
const POLICIES: [&str; 9] = [
    "semver-stable",
    "semver-with-prereleases",
    "pinned-minor",
    "calver",
    "build-number",
    "branch-sha-timestamp",
    "rfc3339-alphabetical",
    "environment-suffix",
    "digest-of-latest",
];
const BEGIN: &str = "<!-- generated: renew with UPDATE=1 cargo test --test it docs -->\n";
const END: &str = "<!-- end of the generated part -->\n";

/// Fails unless the generated part of a page is `want`; renews it where `UPDATE` says so.
fn check(page: &str, want: &str) {
    let path = root().join("docs/src").join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the generated part begins");
    let (part, after) = rest.split_once(END).expect("the generated part ends");
    if part == want {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "{page} is stale: renew it with UPDATE=1 cargo test --test it docs"
    );
    fs::write(&path, format!("{before}{BEGIN}{want}{END}{after}")).unwrap();
}

/// Returns a text as one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_cookbook_is_made_of_the_policies() {
    let mut want = String::new();
    for name in POLICIES {
        let read = |end: &str| fs::read_to_string(root().join(format!("policies/{name}{end}")));
        let (policy, table) = (read(".yaml").unwrap(), read(".test.yaml").unwrap());
        let body = policy.find("apiVersion:").expect("it is an object");
        let prose = policy[..body]
            .lines()
            .map(|line| line.trim_start_matches("# "));
        let prose = prose.collect::<Vec<_>>().join("\n");
        write!(
            want,
            "\n## {name}\n\n{prose}\n\n```yaml\n{}```\n\n",
            &policy[body..]
        )
        .unwrap();
        want += "| what holds | of these tags | chosen |\n|---|---|---|\n";
        for case in yaml::to_values_strict(&table).unwrap()[0]["cases"]
            .as_array()
            .unwrap()
        {
            want += &row(case);
        }
    }
    check("guides/cookbook.md", &format!("{want}\n"));
    let files = fs::read_dir(root().join("policies")).unwrap();
    assert_eq!(
        files.count(),
        2 * POLICIES.len(),
        "a file is not in the cookbook"
    );
}

fn row(case: &Value) -> String {
    let tags: Vec<_> = case["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| {
            format!(
                "`{}`",
                tag.as_str()
                    .unwrap_or_else(|| panic!("{tag} of {case} is no string"))
            )
        })
        .collect();
    let chosen = match (case["choose"].as_str(), case["error"].as_str()) {
        (Some(tag), _) => format!("`{tag}`"),
        (None, error) => format!("none: {}", error.expect("a case says what it wants")),
    };
    let name = case["name"].as_str().expect("a case has a name");
    format!(
        "| {} | {} | {} |\n",
        cell(name),
        tags.join(", "),
        cell(&chosen)
    )
}

#[test]
fn the_reference_of_the_command_line_is_made_of_the_commands() {
    let mut command = towpath::cli::Arguments::command();
    command.build();
    let mut want = String::from("\n## For every command\n\n");
    want += &arguments(
        command
            .get_arguments()
            .filter(|argument| argument.is_global_set()),
    );
    for command in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        describe(command, &mut want);
    }
    check("reference/cli.md", &format!("{want}\n"));
}

fn describe(command: &Command, page: &mut String) {
    let name = command.get_bin_name().expect("the command is built");
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let about = about.trim_end_matches('.');
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    write!(page, "\n## {name}\n\n{about}.\n\n```text\n{usage}\n```\n").unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .collect();
    let table = arguments(own.into_iter());
    if !table.is_empty() {
        write!(page, "\n{table}").unwrap();
    }
    for below in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        describe(below, page);
    }
}

/// Returns arguments as a table; nothing when there are none.
fn arguments<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let shown = |argument: &&Arg| {
        let action = argument.get_action();
        let asks = matches!(
            action,
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        !asks && !argument.is_hide_set()
    };
    let rows: String = arguments
        .filter(shown)
        .map(|argument| {
            format!(
                "| {} | {} |\n",
                cell(&spelling(argument)),
                cell(&meaning(argument))
            )
        })
        .collect();
    match rows.as_str() {
        "" => rows,
        rows => format!("| argument | meaning |\n|---|---|\n{rows}"),
    }
}

fn spelling(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let value = names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let long = argument.get_long().map(|long| match takes {
        true => format!("`--{long} {value}`"),
        false => format!("`--{long}`"),
    });
    let spelled: Vec<String> = short.into_iter().chain(long).collect();
    match spelled.is_empty() {
        true => format!("`{value}`"),
        false => spelled.join(", "),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default();
    let possible = argument.get_possible_values();
    let takes = argument.get_action().takes_values();
    if takes && !possible.is_empty() {
        let values = possible.iter().filter(|value| !value.is_hide_set());
        let values = values.map(|value| match value.get_help() {
            Some(help) => format!(
                "`{}` ({})",
                value.get_name(),
                help.to_string().trim_end_matches('.')
            ),
            None => format!("`{}`", value.get_name()),
        });
        write!(text, "; one of {}", values.collect::<Vec<_>>().join(", ")).unwrap();
    }
    let defaults = argument.get_default_values();
    if takes && !defaults.is_empty() {
        let defaults = defaults
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()));
        write!(
            text,
            "; by default {}",
            defaults.collect::<Vec<_>>().join(" ")
        )
        .unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(text, "; or `${}`", variable.to_string_lossy()).unwrap();
    }
    text
}

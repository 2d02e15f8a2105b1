//! Which files an artifact leaves out: `.sourceignore` files, `spec.ignore`, the built-in lists.
//!
//! In: lines in the manner of `.gitignore`. Out: a verdict for each path. The rules are those of
//! Flux, not of Git: every path is judged on its own, so a file below an excluded folder can come
//! back by a `!` line, and `**` counts only as a whole part. Pure.

use super::{Contents, ENTRIES_MAX, Error};

/// The name of the files that hold rules.
pub const FILE_NAME: &str = ".sourceignore";
/// Most bytes of one file of rules.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most rules that hold for one tree.
pub const RULES_MAX: usize = 10_000;

/// What Git's own files are; always left out, unless a later rule brings them back.
const VCS: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];
/// Left out when nobody gives a rule.
const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// The folder that the line holds for.
    domain: Vec<String>,
    parts: Vec<String>,
    includes: bool,
    folders_only: bool,
    /// Whether it has a `/` within and so speaks of whole paths.
    is_path: bool,
}

/// The rules of one tree, later ones above earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRules(Vec<Rule>);

impl IgnoreRules {
    /// Returns the rules of a tree. `files` are its `.sourceignore` files as folder and text, a folder
    /// before those below it. Fails when there are too many.
    pub fn new(files: &[(String, String)], spec_ignore: Option<&str>) -> Result<Self, Error> {
        let mut given = Vec::new();
        for (folder, text) in files {
            parse(text, folder, &mut given);
        }
        parse(spec_ignore.unwrap_or_default(), "", &mut given);
        let mut rules = Vec::new();
        parse(&VCS.join("\n"), "", &mut rules);
        if given.is_empty() {
            parse(&DEFAULTS.join("\n"), "", &mut rules);
        }
        rules.append(&mut given);
        if rules.len() > RULES_MAX {
            return Err(Error::TooLarge {
                what: "the number of ignore rules".to_owned(),
                max: RULES_MAX as u64,
            });
        }
        Ok(Self(rules))
    }

    /// Returns whether the artifact leaves out what is at `path`.
    pub fn excludes(&self, path: &str, is_folder: bool) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let decides = self
            .0
            .iter()
            .rev()
            .find(|rule| rule.matches(&parts, is_folder));
        decides.is_some_and(|rule| !rule.includes)
    }
}

/// Returns the rules of a tree, with the `.sourceignore` files that it holds. Fails when a bound is
/// passed, that of the tree's size among them.
pub fn ignore_rules(contents: &Contents, spec_ignore: Option<&str>) -> Result<IgnoreRules, Error> {
    let (mut files, mut n_entries) = (Vec::new(), 0);
    contents(&mut |entry| {
        n_entries += 1;
        if n_entries > ENTRIES_MAX {
            return Err(Error::TooLarge {
                what: "the number of files of the tree".to_owned(),
                max: ENTRIES_MAX as u64,
            });
        }
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", entry.path));
        if entry.is_folder || name != FILE_NAME {
            return Ok(());
        }
        let bytes = entry.bytes()?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Error::TooLarge {
                what: entry.path.to_owned(),
                max: FILE_BYTES_MAX as u64,
            });
        }
        files.push((
            folder.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
        Ok(())
    })?;
    // A folder's own rules come before those of the folders in it.
    files.sort_by_key(|(folder, _)| folder.split('/').map(str::to_owned).collect::<Vec<_>>());
    IgnoreRules::new(&files, spec_ignore)
}

fn parse(text: &str, folder: &str, rules: &mut Vec<Rule>) {
    for line in text.lines() {
        if !line.starts_with('#') && !line.trim().is_empty() {
            rules.push(Rule::parse(line, folder));
        }
    }
}

impl Rule {
    fn parse(line: &str, folder: &str) -> Self {
        let (includes, mut line) = match line.strip_prefix('!') {
            Some(line) => (true, line),
            None => (false, line),
        };
        if !line.ends_with("\\ ") {
            line = line.trim_end_matches(' ');
        }
        let (folders_only, line) = match line.strip_suffix('/') {
            Some(line) => (true, line),
            None => (false, line),
        };
        Self {
            domain: folder
                .split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            parts: line.split('/').map(str::to_owned).collect(),
            includes,
            folders_only,
            is_path: line.contains('/'),
        }
    }

    fn matches(&self, path: &[&str], is_folder: bool) -> bool {
        if path.len() <= self.domain.len() {
            return false;
        }
        let (domain, path) = path.split_at(self.domain.len());
        if domain
            .iter()
            .zip(&self.domain)
            .any(|(have, want)| have != want)
        {
            return false;
        }
        match self.is_path {
            true => self.matches_path(path, is_folder),
            false => self.matches_name(path, is_folder),
        }
    }

    /// Matches when some part of the path has the name.
    fn matches_name(&self, path: &[&str], is_folder: bool) -> bool {
        let Some(pattern) = self.parts.first() else {
            return false;
        };
        let found = path.iter().position(|name| matches_part(pattern, name));
        found.is_some_and(|at| !self.folders_only || is_folder || at + 1 < path.len())
    }

    /// Matches when the path starts with the parts; what lies below matches with it.
    fn matches_path(&self, mut path: &[&str], is_folder: bool) -> bool {
        let (mut matched, mut skips) = (false, false);
        for (n, pattern) in self.parts.iter().enumerate() {
            if pattern.is_empty() {
                skips = false;
                continue;
            }
            if pattern == "**" {
                if n + 1 == self.parts.len() {
                    break;
                }
                skips = true;
                continue;
            }
            if pattern.contains("**") || path.is_empty() {
                return false;
            }
            let at = match skips {
                true => path.iter().position(|name| matches_part(pattern, name)),
                false => path
                    .first()
                    .filter(|name| matches_part(pattern, name))
                    .map(|_| 0),
            };
            match at {
                Some(at) => {
                    matched = true;
                    path = path.get(at + 1..).unwrap_or_default();
                }
                None if skips => {
                    matched = false;
                    path = &[];
                }
                None => return false,
            }
            skips = false;
        }
        matched && !(self.folders_only && !is_folder && path.is_empty())
    }
}

/// Matches one part of a path as Go's `filepath.Match` does; a malformed pattern matches nothing.
fn matches_part(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // The place behind the last star and the name's place that it took so far: enough to go back to,
    // which keeps the work at pattern times name.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            (Some(_), Some(c)) => match_one(&pattern[p..], *c),
            (Some(_), None) | (None, Some(_)) => Some((false, 0)),
        };
        match (step, star) {
            (None, _) => return false,
            (Some((true, n_taken)), _) => {
                p += n_taken;
                n += 1;
            }
            (Some((false, _)), Some((behind, taken))) if taken < name.len() => {
                star = Some((behind, taken + 1));
                (p, n) = (behind, taken + 1);
            }
            (Some((false, _)), _) => return false,
        }
    }
}

/// Matches the first element of a pattern: whether it takes `c`, and how long it is. Nothing when it
/// is malformed.
fn match_one(pattern: &[char], c: char) -> Option<(bool, usize)> {
    match pattern.first()? {
        '?' => Some((true, 1)),
        '\\' => Some((*pattern.get(1)? == c, 2)),
        '[' => match_class(pattern, c),
        first => Some((*first == c, 1)),
    }
}

fn match_class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = pattern.get(1) == Some(&'^');
    let mut at = if negated { 2 } else { 1 };
    let (mut found, mut n_ranges) = (false, 0);
    while n_ranges == 0 || *pattern.get(at)? != ']' {
        let low = class_char(pattern, &mut at)?;
        let mut high = low;
        if *pattern.get(at)? == '-' {
            at += 1;
            high = class_char(pattern, &mut at)?;
        }
        found |= (low..=high).contains(&c);
        n_ranges += 1;
    }
    Some((found != negated, at + 1))
}

/// Returns a character of a class, which must not be a bare `-` or `]`.
fn class_char(pattern: &[char], at: &mut usize) -> Option<char> {
    let c = match *pattern.get(*at)? {
        '-' | ']' => return None,
        '\\' => {
            *at += 1;
            *pattern.get(*at)?
        }
        c => c,
    };
    *at += 1;
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks verdicts: `-` before a path says that it is left out, `+` that it stays; a `/` at the
    /// end makes it a folder.
    fn check(files: &[(&str, &str)], spec: Option<&str>, verdicts: &[&str]) {
        let files: Vec<_> = files
            .iter()
            .map(|(f, t)| ((*f).into(), (*t).into()))
            .collect();
        let rules = IgnoreRules::new(&files, spec).unwrap();
        for verdict in verdicts {
            let (want, path) = verdict.split_at(1);
            let is_folder = path.ends_with('/');
            let found = rules.excludes(path.trim_end_matches('/'), is_folder);
            assert_eq!(found, want == "-", "{spec:?} {verdict}");
        }
    }

    #[test]
    fn built_in_lists_hold_when_nobody_gives_a_rule() {
        let verdicts = [
            "-.git/",
            "-.git/config",
            "-.gitignore",
            "-a/b.png",
            "-x.tar.gz",
            "-.github/w.yaml",
            "-a/.sops.yaml",
            "-.sops.yaml",
            "+a/deploy.yaml",
            "+png",
            "+.github",
        ];
        check(&[], None, &verdicts);
        check(&[], Some("# a comment\n\n"), &["-a.png"]);
        check(
            &[],
            Some("*.txt"),
            &["+a.png", "-a.txt", "-.gitignore", "+.github/w.yaml"],
        );
        check(
            &[("apps", "*.txt")],
            None,
            &["+a.png", "-apps/a.txt", "+a.txt"],
        );
    }

    #[test]
    fn a_file_below_an_excluded_folder_can_come_back() {
        check(
            &[],
            Some("/*\n!/deploy\n!/apps/web"),
            &[
                "-README.md",
                "+deploy/",
                "+deploy/a.yaml",
                "-apps/",
                "-apps/db/x",
                "+apps/web/x",
            ],
        );
    }

    #[test]
    fn spec_ignore_is_above_files_and_deeper_files_above_higher_ones() {
        let files = [("", "*.md"), ("docs", "!keep.md")];
        check(
            &files,
            None,
            &["-a.md", "+docs/keep.md", "-docs/other.md", "-keep.md"],
        );
        check(&files, Some("keep.md"), &["-docs/keep.md"]);
    }

    #[test]
    fn double_stars_count_only_as_whole_parts() {
        check(&[], Some("dir/**"), &["-dir/", "-dir/a/b", "+other"]);
        check(&[], Some("/**"), &["+a", "+a/b"]);
        check(&[], Some("**"), &["-a", "-a/b"]);
        check(&[], Some("**/x/y"), &["-x/y", "-a/b/x/y", "+a/x/z"]);
        check(&[], Some("a/**/z"), &["-a/z", "-a/b/c/z", "+b/z"]);
        check(&[], Some("a/b**"), &["+a/bc"]);
        check(
            &[],
            Some("vendor/"),
            &["-vendor/", "+vendor", "-a/vendor/x", "+vendored/"],
        );
        check(&[], Some("a/b/"), &["-a/b/", "+a/b", "-a/b/c"]);
    }

    #[test]
    fn parts_match_as_in_go() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("*.go", "a.go", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("[a-c]?", "bz", true),
            ("[^a-c]", "b", false),
            ("[^a-c]", "d", true),
            ("[]a]", "a", false),
            ("[a-", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a", false),
            ("?", "é", true),
        ] {
            assert_eq!(matches_part(pattern, name), want, "{pattern} {name}");
        }
        let long = "a".repeat(5000);
        assert!(!matches_part(
            &"a*".repeat(200).replace("a*a", "a*b"),
            &long
        ));
    }

    #[test]
    fn too_many_rules_are_refused() {
        let many = "x\n".repeat(RULES_MAX + 1);
        assert!(IgnoreRules::new(&[], Some(&many)).is_err());
    }
}

//! sprig's functions on versions, with the constraints of Masterminds' semver.
//!
//! In: versions and constraints as text. Out: a version with its parts, or truth. Pure.

use semver::Version;

use super::{Called, Row, text_at};
use crate::exec::Memory;
use crate::value::{Struct, Value, Whole};

/// Comparisons of one constraint.
const PARTS_MAX: usize = 100;

pub(super) const FUNCTIONS: &[Row] = &[
    ("semver", "s", semver_value),
    ("semverCompare", "ss", compare),
];

/// Reads a version loosely: a leading `v`, one or two numbers.
fn version(text: &str) -> Option<Version> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let n_dots = numbers.matches('.').count();
    let zeros = match n_dots {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    Version::parse(&format!("{numbers}{zeros}{rest}")).ok()
}

fn semver_value(_: &mut Memory, a: &[Value]) -> Called {
    let original = text_at(a, 0);
    let version = version(original).ok_or("invalid semantic version")?;
    let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX), Whole::Uint64);
    let methods = [
        ("Major", number(version.major)),
        ("Minor", number(version.minor)),
        ("Patch", number(version.patch)),
        ("Prerelease", Value::text(version.pre.as_str())),
        ("Metadata", Value::text(version.build.as_str())),
        ("Original", Value::text(original)),
    ];
    Ok(Value::structure(Struct {
        type_name: "*semver.Version".to_owned(),
        fields: Vec::new(),
        methods: methods
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        display: Some(version.to_string()),
    }))
}

/// One comparison: a sign and up to three numbers.
struct Part {
    sign: String,
    version: Version,
    /// How many numbers were written; the rest is a wildcard.
    n_numbers: usize,
}

fn compare(_: &mut Memory, a: &[Value]) -> Called {
    let (constraint, text) = (text_at(a, 0), text_at(a, 1));
    let improper = || format!("improper constraint: {constraint:?}");
    let mut any = Vec::new();
    for side in constraint.split("||") {
        any.push(all_of(side).ok_or_else(improper)?);
    }
    let version = version(text).ok_or("invalid semantic version")?;
    let holds = any
        .iter()
        .any(|parts| parts.iter().all(|part| part.holds(&version)));
    Ok(Value::Bool(holds))
}

/// Reads the comparisons of one side of `||`.
fn all_of(side: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    if let Some((from, to)) = side.split_once(" - ") {
        parts.push(part(">=", from.trim())?);
        parts.push(part("<=", to.trim())?);
        return Some(parts);
    }
    for written in side.split(',') {
        let mut rest = written.trim();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let n_sign = rest.find(|c| !"=<>!~^".contains(c)).unwrap_or(rest.len());
            let (sign, after) = rest.split_at(n_sign);
            let after = after.trim_start();
            let end = after
                .find(|c: char| c.is_whitespace() || "=<>!~^".contains(c))
                .unwrap_or(after.len());
            parts.push(part(sign, &after[..end])?);
            rest = after[end..].trim_start();
            if parts.len() > PARTS_MAX {
                return None;
            }
        }
    }
    Some(parts)
}

fn part(sign: &str, text: &str) -> Option<Part> {
    let known = [
        "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^",
    ];
    if !known.contains(&sign) {
        return None;
    }
    let bare = text.strip_prefix('v').unwrap_or(text);
    let is_wild = |number: &str| matches!(number, "x" | "X" | "*");
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let numbers: Vec<&str> = bare[..end].split('.').collect();
    let n_numbers = numbers.iter().take_while(|n| !is_wild(n)).count();
    if numbers.len() > 3 || numbers[n_numbers..].iter().any(|n| !is_wild(n)) {
        return None;
    }
    let version = match n_numbers {
        0 => Version::new(0, 0, 0),
        n if n < numbers.len() => version(&numbers[..n].join("."))?,
        _ => version(bare)?,
    };
    Some(Part {
        sign: sign.to_owned(),
        version,
        n_numbers,
    })
}

impl Part {
    fn holds(&self, version: &Version) -> bool {
        // A constraint without a prerelease passes over all prereleases.
        if !version.pre.is_empty() && self.version.pre.is_empty() {
            return false;
        }
        let is_inside = self.is_inside(version, self.n_numbers);
        let order = version.cmp_precedence(&self.version);
        match self.sign.as_str() {
            _ if self.n_numbers == 0 => !matches!(self.sign.as_str(), "!=" | "<" | ">"),
            "" | "=" if self.n_numbers == 3 => order.is_eq(),
            "" | "=" => is_inside,
            "!=" if self.n_numbers == 3 => order.is_ne(),
            "!=" => !is_inside,
            ">" => order.is_gt() && (self.n_numbers == 3 || !is_inside),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" => order.is_le() || (self.n_numbers < 3 && is_inside),
            "~" | "~>" => order.is_ge() && self.is_inside(version, self.n_numbers.min(2)),
            _ => order.is_ge() && self.is_inside(version, self.caret()),
        }
    }

    /// How many numbers a caret holds fast: up to the first that is not zero.
    fn caret(&self) -> usize {
        match (self.version.major, self.version.minor, self.n_numbers) {
            (0, 0, 3) => 3,
            (0, _, n) if n > 1 => 2,
            _ => 1,
        }
    }

    /// Returns whether the first numbers are the same.
    fn is_inside(&self, version: &Version, n: usize) -> bool {
        let numbers = |v: &Version| [v.major, v.minor, v.patch];
        let pairs = numbers(version).into_iter().zip(numbers(&self.version));
        pairs.take(n).all(|(a, b)| a == b)
    }
}

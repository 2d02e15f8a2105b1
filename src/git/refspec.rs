//! Refspecs: which further reference gets a pushed commit.
//!
//! In: the text of `git.push.refspec`. Out: a [`RefSpec`]. Only the commit that is pushed can be its
//! source; patterns and deletions are refused. Pure.

use super::{Error, checkout::Selector};

/// A reference that gets the pushed commit, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefSpec {
    /// As it is written.
    pub text: String,
    /// Whether it may lose commits for that.
    pub forces: bool,
    /// The full name of the reference.
    pub to: String,
}

impl RefSpec {
    /// Reads `[+]source:destination`, where the source must be the pushed branch or `HEAD`. Fails with
    /// the field and what is wrong.
    pub fn parse(text: &str, branch: &str) -> Result<Self, Error> {
        let error = |reason: &'static str| Error::Reference {
            field: "spec.git.push.refspec",
            value: text.to_owned(),
            reason,
        };
        let (forces, plain) = match text.strip_prefix('+') {
            Some(plain) => (true, plain),
            None => (false, text),
        };
        let parts: Vec<&str> = plain.split(':').collect();
        let [from, to] = parts[..] else {
            return Err(error("is not source:destination"));
        };
        if plain.contains('*') {
            return Err(error("is a pattern, which is not supported"));
        }
        if from.is_empty() {
            return Err(error("deletes its destination, which is not supported"));
        }
        if from != "HEAD" && from.strip_prefix("refs/heads/") != Some(branch) {
            return Err(error("has a source other than the pushed branch"));
        }
        let name = Selector::Name(to.to_owned()).reference();
        name.map_err(|_| error("has a destination that is no full reference name"))?;
        Ok(Self {
            text: text.to_owned(),
            forces,
            to: to.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_of_review_servers_are_read() {
        for (text, forces, to) in [
            ("refs/heads/auto:refs/heads/main", false, "refs/heads/main"),
            ("+refs/heads/auto:refs/heads/main", true, "refs/heads/main"),
            ("refs/heads/auto:refs/for/main", false, "refs/for/main"),
            (
                "refs/heads/auto:refs/for/main%topic=x",
                false,
                "refs/for/main%topic=x",
            ),
            ("HEAD:refs/tags/latest", false, "refs/tags/latest"),
        ] {
            let refspec = RefSpec::parse(text, "auto").unwrap();
            assert_eq!((refspec.forces, refspec.to.as_str()), (forces, to));
        }
    }

    #[test]
    fn what_cannot_be_pushed_is_refused_with_the_field() {
        for (text, want) in [
            ("refs/heads/auto", "is not source:destination"),
            (
                "refs/heads/auto:refs/heads/a:b",
                "is not source:destination",
            ),
            (
                "refs/heads/*:refs/heads/*",
                "is a pattern, which is not supported",
            ),
            (
                ":refs/heads/x",
                "deletes its destination, which is not supported",
            ),
            (
                "refs/heads/dev:refs/heads/x",
                "has a source other than the pushed branch",
            ),
            (
                "auto:refs/heads/x",
                "has a source other than the pushed branch",
            ),
            (
                "refs/heads/auto:main",
                "has a destination that is no full reference name",
            ),
            (
                "refs/heads/auto:",
                "has a destination that is no full reference name",
            ),
        ] {
            let error = RefSpec::parse(text, "auto").unwrap_err().to_string();
            assert_eq!(error, format!("spec.git.push.refspec {text:?} {want}"));
        }
    }
}

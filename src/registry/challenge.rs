//! `WWW-Authenticate`: what a registry asks for before it answers.
//!
//! In: header values. Out: the [`Challenge`] that we can meet, Bearer before Basic. Pure.

/// Bytes of a header value that are looked at.
const HEADER_BYTES_MAX: usize = 8 << 10;

/// A way to prove who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token of a token service.
    Bearer {
        /// The token service's URL.
        realm: String,
        /// What the token is for; empty when not told.
        service: String,
    },
}

/// Returns the strongest challenge that we can meet, or `None`.
pub(super) fn strongest<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = None;
    for value in values.filter(|value| value.len() <= HEADER_BYTES_MAX) {
        for (scheme, parameters) in parsed(value) {
            let parameter = |name: &str| {
                let pair = parameters.iter().find(|(key, _)| key == name);
                pair.map(|(_, value)| value.clone())
            };
            if scheme == "bearer"
                && let Some(realm) = parameter("realm")
            {
                let service = parameter("service").unwrap_or_default();
                return Some(Challenge::Bearer { realm, service });
            }
            if scheme == "basic" {
                found = Some(Challenge::Basic);
            }
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// Splits one header value into schemes and their parameters, names in lower case.
fn parsed(value: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Nothing is left, or a stray `=` that no grammar allows.
            return challenges;
        }
        let word = word.to_ascii_lowercase();
        match after.trim_start().strip_prefix('=') {
            Some(after) => {
                let (text, after) = text_of(after.trim_start());
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.push((word, text));
                }
                rest = after;
            }
            None => {
                challenges.push((word, Vec::new()));
                rest = after;
            }
        }
    }
}

/// Returns a token or quoted string at the start, and what comes after it.
fn text_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_in_every_spelling() {
        let bearer = |realm: &str, service: &str| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.to_owned(),
            })
        };
        for (value, want) in [
            (r#"Basic realm="r""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:c,d""#,
                bearer("https://auth.docker.io/token", "registry.docker.io"),
            ),
            (r#"BEARER Realm = "https://a/t""#, bearer("https://a/t", "")),
            (
                r#"Basic realm="x", Bearer realm="https://a""#,
                bearer("https://a", ""),
            ),
            (
                r#"Bearer realm=https://a,service=s"#,
                bearer("https://a", "s"),
            ),
            (r#"Bearer realm="a\"b""#, bearer("a\"b", "")),
            ("Bearer service=\"s\"", None),
            ("Negotiate", None),
            ("", None),
            ("=,=", None),
            ("Bearer realm=\"unclosed", bearer("unclosed", "")),
        ] {
            assert_eq!(strongest([value].into_iter()), want, "{value}");
        }
    }

    #[test]
    fn endless_headers_are_passed_over() {
        let value = format!("Basic realm=\"{}\"", "x".repeat(HEADER_BYTES_MAX));
        assert_eq!(strongest([value.as_str()].into_iter()), None);
    }
}

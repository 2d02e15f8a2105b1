//! `Link`: where the next page of a list is.
//!
//! In: the URL of a page and its header values. Out: the next URL if it is on the same host. Pure.

use reqwest::Url;

/// Returns the URL of the next page from the `Link` headers of the page at `url`. Fails with a
/// reason when it leads to another host, scheme or port.
pub(super) fn next<'a>(
    url: &Url,
    mut links: impl Iterator<Item = &'a str>,
) -> Result<Option<Url>, String> {
    let Some(target) = links.find_map(|link| targets(link).into_iter().next()) else {
        return Ok(None);
    };
    let next = url
        .join(target)
        .map_err(|error| format!("Link to the next page is no URL: {error}"))?;
    if next.origin() != url.origin() || !next.username().is_empty() {
        let host = next.host_str().unwrap_or("");
        return Err(format!(
            "Link to the next page leads to {}://{host}, which is not this registry",
            next.scheme()
        ));
    }
    Ok(Some(next))
}

/// Returns the targets with `rel="next"` of one header value.
fn targets(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let end = after.find('<').unwrap_or(after.len());
        let is_next = after[..end].split([';', ',']).any(|parameter| {
            let Some((key, value)) = parameter.split_once('=') else {
                return false;
            };
            key.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            found.push(target);
        }
        rest = &after[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_on_the_same_host_only() {
        let url = Url::parse("https://r.io/v2/a/tags/list?n=2").unwrap();
        for (link, want) in [
            (
                r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
                Ok(Some("https://r.io/v2/a/tags/list?last=b&n=2")),
            ),
            (
                r#"<https://r.io/v2/a/tags/list?x=1>; title="a"; rel=next"#,
                Ok(Some("https://r.io/v2/a/tags/list?x=1")),
            ),
            (
                r#"</first>; rel="first", </v2/x>; rel="last next""#,
                Ok(Some("https://r.io/v2/x")),
            ),
            (
                r#"<?last=b>; rel="next""#,
                Ok(Some("https://r.io/v2/a/tags/list?last=b")),
            ),
            (r#"</prev>; rel="prev""#, Ok(None)),
            ("nonsense", Ok(None)),
            (r#"<https://evil.io/>; rel="next""#, Err("https://evil.io")),
            (r#"<http://r.io/>; rel="next""#, Err("http://r.io")),
            (
                r#"<https://r.io:444/>; rel="next""#,
                Err("not this registry"),
            ),
            (
                r#"<//169.254.169.254/latest>; rel="next""#,
                Err("169.254.169.254"),
            ),
            (r#"<file:///etc/passwd>; rel="next""#, Err("file://")),
            (r#"<https://u@r.io/>; rel="next""#, Err("not this registry")),
        ] {
            let got = next(&url, [link].into_iter());
            match want {
                Ok(want) => assert_eq!(got.unwrap().map(String::from).as_deref(), want, "{link}"),
                Err(want) => {
                    let error = got.unwrap_err();
                    assert!(error.contains(want), "{link}: {error}");
                }
            }
        }
    }
}

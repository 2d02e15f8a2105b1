//! URLs of repositories: `http://`, `https://` and `ssh://`, and no other.
//!
//! In: `spec.url`. Out: [`RemoteUrl`], whose text is safe to print. Everything else is refused by name:
//! other schemes, the short form of ssh, passwords, hosts that a program would take for an option. Pure.

use std::fmt;

use super::Error;

/// Longest URL taken, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// The user of ssh URLs that name none.
const SSH_USER: &str = "git";
/// The port of ssh URLs that name none.
const SSH_PORT: u16 = 22;

/// A URL of a repository. Its text has no password and no trailing slash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    text: String,
    way: Way,
}

/// How the host is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Smart HTTP, with the user that the URL names.
    Http { tls: bool, user: Option<String> },
    /// Git's programs over ssh.
    Ssh(SshAddress),
}

/// Where an ssh URL leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SshAddress {
    pub(super) user: String,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The repository as the server's programs are told it.
    pub(super) path: String,
}

impl RemoteUrl {
    /// Returns the URL. Fails when it is too long, has no host, holds a password, or its scheme is none
    /// of the three.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::Url {
            url: redact(url),
            reason,
        };
        if url.len() > URL_BYTES_MAX {
            return Err(error(format!("is longer than {URL_BYTES_MAX} bytes")));
        }
        let Some((scheme, _)) = url.split_once("://") else {
            return Err(error(match is_short_form(url) {
                true => "is ssh's short form; write ssh://user@host/path".to_owned(),
                false => "has no scheme; https://, http:// and ssh:// are supported".to_owned(),
            }));
        };
        if !["http", "https", "ssh"].contains(&scheme) {
            return Err(error(format!(
                "has the scheme {scheme}://, which is not supported; use https://, http:// or ssh://"
            )));
        }
        let parsed =
            reqwest::Url::parse(url).map_err(|cause| error(format!("is not a URL: {cause}")))?;
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(error("must not have a query or a fragment".to_owned()));
        }
        if parsed.password().is_some() {
            return Err(error(
                "holds a password; put it into a Secret (spec.secretRef)".to_owned(),
            ));
        }
        if parsed.host_str().is_none_or(|host| host.starts_with('-')) {
            return Err(error("has no host, or one that begins with '-'".to_owned()));
        }
        match scheme {
            "ssh" => ssh(&parsed).map_err(|reason| error(reason.to_owned())),
            scheme => Ok(http(parsed, scheme == "https")),
        }
    }

    /// Returns the URL without what must not be shown; safe to print.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the URL is one of ssh.
    pub fn is_ssh(&self) -> bool {
        matches!(self.way, Way::Ssh(_))
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns whether a text without a scheme reads as `user@host:path`.
fn is_short_form(url: &str) -> bool {
    let Some((host, path)) = url.split_once(':') else {
        return false;
    };
    !path.starts_with(':') && !host.contains('/') && host.contains('@')
}

fn http(mut parsed: reqwest::Url, tls: bool) -> RemoteUrl {
    let user = (!parsed.username().is_empty()).then(|| percent_decode(parsed.username()));
    // It only fails for URLs without a host, and http(s) URLs have one.
    let _ = parsed.set_username("");
    RemoteUrl {
        text: parsed.as_str().trim_end_matches('/').to_owned(),
        way: Way::Http { tls, user },
    }
}

fn ssh(parsed: &reqwest::Url) -> Result<RemoteUrl, &'static str> {
    let user = match parsed.username() {
        "" => SSH_USER.to_owned(),
        user => percent_decode(user),
    };
    let host = percent_decode(parsed.host_str().unwrap_or_default());
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let path = percent_decode(parsed.path());
    let trimmed = path.trim_end_matches('/');
    let is_plain = |text: &str| !text.starts_with('-') && !text.contains(char::is_control);
    if trimmed.is_empty() {
        return Err("names no repository");
    }
    if ![user.as_str(), &host, trimmed].into_iter().all(is_plain) || host.contains(' ') {
        return Err("has a user, host or path that begins with '-' or holds control characters");
    }
    // `/~user/x` is relative to a home, as Git's own client says it.
    let path = match trimmed.strip_prefix("/~") {
        Some(home) => format!("~{home}"),
        None => trimmed.to_owned(),
    };
    Ok(RemoteUrl {
        text: parsed.as_str().trim_end_matches('/').to_owned(),
        way: Way::Ssh(SshAddress {
            user,
            host,
            port: parsed.port().unwrap_or(SSH_PORT),
            path,
        }),
    })
}

/// Returns a URL that may be malformed with its userinfo starred and its length cut.
fn redact(url: &str) -> String {
    let shown: String = url.chars().take(200).collect();
    let start = shown.find("://").map_or(0, |at| at + 3);
    let authority = shown[start..]
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{}***{}", &shown[..start], &shown[start + at..]),
        None => shown,
    }
}

/// Returns `text` with `%XX` decoded; malformed escapes stay as they are.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gt10_urls_that_are_not_supported_are_refused_by_name() {
        for (url, want) in [
            ("git://host/repo", "git://"),
            ("file:///srv/repo", "file://"),
            ("ext::sh -c true", "no scheme"),
            ("ext::ssh://git@host/repo", "ext::ssh://"),
            ("/srv/repo", "no scheme"),
            (
                "git@host:repo.git",
                "ssh's short form; write ssh://user@host/path",
            ),
            ("https://host/repo?x=1", "query"),
            ("https://bob:s3cret@host/repo", "holds a password"),
            ("ssh://bob:s3cret@host/repo", "holds a password"),
            ("ssh://-oProxyCommand=true/repo", "begins with '-'"),
            ("https://-x/repo", "begins with '-'"),
            ("ssh://-x@host/repo", "begins with '-'"),
            ("ssh://git@host/a%0Ab", "control characters"),
            ("ssh://git@host/", "names no repository"),
            ("ssh:///repo", "host"),
            ("SSH://git@host/repo", "SSH://"),
        ] {
            let text = RemoteUrl::parse(url).unwrap_err().to_string();
            assert!(
                text.starts_with("spec.url ") && text.contains(want),
                "{url}: {text}"
            );
            assert!(!text.contains("s3cret"), "{text}");
        }
        let long = format!("https://host/{}", "x".repeat(URL_BYTES_MAX));
        assert!(RemoteUrl::parse(&long).is_err());
    }

    #[test]
    fn ssh_urls_lead_to_a_user_a_host_a_port_and_a_path() {
        for (url, want) in [
            (
                "ssh://git@github.com/acme/fleet",
                ("git", "github.com", 22, "/acme/fleet"),
            ),
            ("ssh://host/x.git/", ("git", "host", 22, "/x.git")),
            ("ssh://bob@Host:2222/a%20b", ("bob", "host", 2222, "/a b")),
            (
                "ssh://git@[::1]:2222/~bob/x",
                ("git", "::1", 2222, "~bob/x"),
            ),
        ] {
            let parsed = RemoteUrl::parse(url).unwrap();
            assert_eq!(parsed.as_str(), url.trim_end_matches('/'));
            let Way::Ssh(SshAddress {
                user,
                host,
                port,
                path,
            }) = parsed.way()
            else {
                panic!("{url} is not one of ssh");
            };
            let have = (user.as_str(), host.as_str(), *port, path.as_str());
            assert_eq!(have, want, "{url}");
        }
    }
}

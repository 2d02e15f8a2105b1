//! Which paths are addresses of something elsewhere; this engine never fetches them.

/// Returns whether a path is a URL or the address of a git repository.
pub(crate) fn is_remote(path: &str) -> bool {
    is_url(path) || is_repository(path)
}

/// Returns whether a path is an address of a web server.
pub(crate) fn is_url(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://")
}

fn is_repository(path: &str) -> bool {
    if path.starts_with('/') {
        return false;
    }
    let path = path.split('?').next().unwrap_or(path);
    let (path, forced) = match path.strip_prefix("git::") {
        Some(rest) => (rest, true),
        None => (path, false),
    };
    let lower = path.to_ascii_lowercase();
    if ["ssh://", "https://", "http://", "file://"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
    {
        return true;
    }
    if lower.starts_with("github.com/") || lower.starts_with("github.com:") {
        return true;
    }
    let user = path.split_once('@').filter(|(user, _)| {
        user.starts_with(|c: char| c.is_ascii_alphabetic())
            && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    match user {
        Some((_, host)) => host.contains(['/', ':']),
        None => forced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        for path in [
            "https://example.com/a.yaml",
            "HTTP://example.com/a",
            "git@github.com:org/repo",
            "github.com/org/repo//path?ref=v1",
            "ssh://git@host/repo",
            "git::https://host/repo",
            "file:///tmp/repo",
        ] {
            assert!(is_remote(path), "{path}");
        }
        for path in [
            "base",
            "../base",
            "./github.com/x",
            "a@b",
            "my.yaml",
            "/abs",
        ] {
            assert!(!is_remote(path), "{path}");
        }
    }
}

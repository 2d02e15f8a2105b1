//! Which keys a host may show: the lines of `known_hosts`.
//!
//! In: the text of a Secret, a host and a port. Out: [`Trust`], which says yes to a key or why not. It
//! is strict: a key that is not there is refused, as is a line that cannot be read. Pure.

use ring::hmac;
use russh::keys::{
    Algorithm, HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, Marker},
};

use super::private_key::check_strength;

/// The key of a Secret that holds the lines.
pub(super) const KNOWN_HOSTS: &str = "known_hosts";
/// Longest text taken, in bytes; a Secret holds no more.
pub const KNOWN_HOSTS_BYTES_MAX: usize = 1 << 20;
/// The port that lines without one mean.
const SSH_PORT: u16 = 22;

/// The lines that may say something of a host.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts(Vec<Entry>);

/// What is known of one host.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    place: String,
    good: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl KnownHosts {
    /// Returns the lines of a text. Fails with the number of the first that cannot be read.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let wrong = |reason: &str| format!("the key {KNOWN_HOSTS:?} {reason}");
        if text.len() > KNOWN_HOSTS_BYTES_MAX {
            return Err(wrong(&format!(
                "is longer than {KNOWN_HOSTS_BYTES_MAX} bytes"
            )));
        }
        let text = std::str::from_utf8(text).map_err(|_| wrong("is not UTF-8"))?;
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        });
        let entries: Result<Vec<Entry>, String> = lines
            .map(|(at, line)| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let entry = words.join(" ").parse();
                entry.map_err(|_| wrong(&format!("cannot be read at line {}", at + 1)))
            })
            .collect();
        match entries? {
            entries if entries.is_empty() => Err(wrong("holds no line")),
            entries => Ok(Self(entries)),
        }
    }

    /// Returns what is known of a host. Fails when there is no key of it.
    pub(super) fn trust(&self, host: &str, port: u16) -> Result<Trust, String> {
        let place = match port {
            SSH_PORT => host.to_owned(),
            port => format!("[{host}]:{port}"),
        };
        let mut trust = Trust {
            place,
            good: Vec::new(),
            revoked: Vec::new(),
        };
        let mut has_authority = false;
        for entry in self.0.iter().filter(|entry| means(entry, &trust.place)) {
            match entry.marker() {
                None => trust.good.push(entry.public_key().clone()),
                Some(Marker::Revoked) => trust.revoked.push(entry.public_key().clone()),
                Some(Marker::CertAuthority) => has_authority = true,
            }
        }
        let place = &trust.place;
        match (trust.good.is_empty(), has_authority) {
            (false, _) => Ok(trust),
            (true, true) => Err(format!(
                "knownhosts: {place} has only a @cert-authority line, which is not supported"
            )),
            (true, false) => Err(format!(
                "knownhosts: key is unknown: no line is for {place}"
            )),
        }
    }
}

impl Trust {
    /// Returns the algorithms to ask the host for: those of its known keys.
    pub(super) fn algorithms(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let is_rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
        let of_known = |algorithm: &&Algorithm| {
            let known = self.good.iter().map(PublicKey::algorithm);
            let mut known = known.filter(|known| match is_rsa(known) {
                // A signature over SHA-1 proves nothing any more.
                true => matches!(algorithm, Algorithm::Rsa { hash: Some(_) }),
                false => known == *algorithm,
            });
            known.next().is_some()
        };
        all.iter().filter(of_known).cloned().collect()
    }

    /// Fails, in Flux's words, when the host's key is not one of its known keys, was revoked, or is too
    /// weak.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), String> {
        let print = key.fingerprint(HashAlg::Sha256);
        let is_it = |known: &PublicKey| known.key_data() == key.key_data();
        if self.revoked.iter().any(is_it) {
            return Err(format!(
                "knownhosts: key {print} of {} is revoked",
                self.place
            ));
        }
        check_strength(key).map_err(|reason| format!("the host's key {print} {reason}"))?;
        match self.good.iter().any(is_it) {
            true => Ok(()),
            false => Err(format!(
                "knownhosts: key mismatch: {} showed {} {print}",
                self.place,
                key.algorithm()
            )),
        }
    }
}

/// Returns whether a line is about a place, which is `host` or `[host]:port`.
fn means(entry: &Entry, place: &str) -> bool {
    match entry.host_patterns() {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, place.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let full = format!("[{place}]:{SSH_PORT}");
            let fits = |pattern: &str| {
                let pattern = pattern.to_ascii_lowercase();
                matches(pattern.as_bytes(), place.as_bytes())
                    || (!place.starts_with('[') && matches(pattern.as_bytes(), full.as_bytes()))
            };
            let denied = patterns
                .iter()
                .filter_map(|pattern| pattern.strip_prefix('!'));
            patterns.iter().any(|pattern| fits(pattern)) && !denied.into_iter().any(fits)
        }
    }
}

/// Returns whether a pattern with `*` and `?` matches all of a text; in time linear in both for each `*`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(byte), _) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            (_, Some((at, from))) => {
                p = at + 1;
                t = from + 1;
                star = Some((at, from + 1));
            }
            (_, None) => return false,
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEKVnqFk+4SujSqM2g/rcaMm8J6idCkoh1jNgUh3qMvP";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFnktsOEmVouS70b84Wx0b1lIFXJQlVAGXAEJlXjaVMM";

    fn known(text: &str) -> KnownHosts {
        KnownHosts::parse(text.as_bytes()).unwrap()
    }

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    #[test]
    fn lines_are_found_by_host_port_pattern_and_hash() {
        // `host.example` with the salt 0x00 * 20, as `ssh-keygen -H` writes it.
        let salt = [0; 20];
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt),
            b"host.example",
        );
        use base64::Engine as _;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let hashed = format!("|1|{}|{}", base64(&salt), base64(tag.as_ref()));
        for (names, host, port, want) in [
            ("host.example", "host.example", 22, true),
            ("Host.Example", "host.example", 22, true),
            ("host.example", "host.example", 2222, false),
            ("[host.example]:2222", "host.example", 2222, true),
            ("[host.example]:22", "host.example", 22, true),
            ("other,host.example", "host.example", 22, true),
            ("*.example", "host.example", 22, true),
            ("*.example,!host.example", "host.example", 22, false),
            ("h?st.exam*", "host.example", 22, true),
            ("host.exampl", "host.example", 22, false),
            (hashed.as_str(), "host.example", 22, true),
            (hashed.as_str(), "host.example", 2222, false),
        ] {
            let lines = known(&format!("# a comment\n\n{names}  {ONE} a comment\n"));
            let trust = lines.trust(host, port);
            assert_eq!(trust.is_ok(), want, "{names} {host}:{port}");
            if let Ok(trust) = trust {
                trust.check(&key(ONE)).unwrap();
            }
        }
    }

    #[test]
    fn gt9_changed_revoked_and_certified_keys_are_refused() {
        let refusal = |text: &str, shown: &str| {
            let trust = known(text).trust("host", 22);
            trust
                .and_then(|trust| trust.check(&key(shown)))
                .unwrap_err()
        };
        let changed = refusal(&format!("host {ONE}"), TWO);
        assert!(
            changed.starts_with("knownhosts: key mismatch: host showed"),
            "{changed}"
        );
        let both = format!("host {ONE}\n@revoked * {TWO}\nhost {TWO}\n");
        assert!(refusal(&both, TWO).ends_with("of host is revoked"));
        let authority = refusal(&format!("@cert-authority * {ONE}"), ONE);
        assert!(authority.contains("@cert-authority"), "{authority}");
        let unknown = refusal(&format!("other {ONE}"), ONE);
        assert_eq!(unknown, "knownhosts: key is unknown: no line is for host");
    }

    #[test]
    fn texts_that_are_no_known_hosts_are_refused_with_the_line() {
        for (text, want) in [
            (&b"# nothing\n"[..], "holds no line"),
            (b"host ssh-ed25519", "at line 1"),
            (b"# x\nhost ssh-ed25519 AAAA!\n", "at line 2"),
            (b"\xff", "not UTF-8"),
            (&[b'#'; KNOWN_HOSTS_BYTES_MAX + 1], "longer than"),
        ] {
            let reason = KnownHosts::parse(text).unwrap_err();
            assert!(reason.contains(want), "{reason}");
        }
    }
}

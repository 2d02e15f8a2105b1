//! [`Surroundings`]: the environment variables of the process, and the files that they name.
//!
//! In: the process's environment, or a table in its place. Out: values, bounded texts of files. It
//! is read once, except for files, which clouds renew.

use std::collections::BTreeMap;
use std::io::Read;

use crate::safe::Secret;

/// Bytes of a file that holds a token or a key.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Environment variables.
#[derive(Clone)]
pub struct Surroundings(BTreeMap<String, String>);

impl std::fmt::Debug for Surroundings {
    /// Shows names only: values may be keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Default for Surroundings {
    /// Returns those of the process.
    fn default() -> Self {
        Self(std::env::vars_os().filter_map(text).collect())
    }
}

impl FromIterator<(String, String)> for Surroundings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Surroundings {
    /// Returns a variable that is set to something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// Returns the text of the file that a variable names, or `None` when it is not set. Fails with
    /// the variable and the path.
    pub(super) async fn file(&self, name: &str) -> Result<Option<Secret<String>>, String> {
        let Some(path) = self.get(name) else {
            return Ok(None);
        };
        let text = file(path).await;
        text.map(Some).map_err(|reason| format!("{name}: {reason}"))
    }
}

/// Returns the text of a file without white space around it. Fails with the path and the reason.
pub(super) async fn file(path: &str) -> Result<Secret<String>, String> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let file = std::fs::File::open(owned)?;
        let n_read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>((n_read as u64, text))
    });
    let read = read.await.map_err(|error| error.to_string())?;
    match read {
        Ok((n_read, _)) if n_read > FILE_BYTES_MAX => {
            Err(format!("{path} is larger than {FILE_BYTES_MAX} bytes"))
        }
        Ok((_, text)) => Ok(Secret::new(text.trim().to_owned())),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_bounded_and_named_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("token"), " s3cret\n").unwrap();
        std::fs::write(path("large"), vec![b'x'; FILE_BYTES_MAX as usize + 1]).unwrap();
        let names = ["token", "large", "missing"];
        let surroundings: Surroundings = names
            .iter()
            .map(|name| (name.to_uppercase(), path(name)))
            .collect();
        let token = surroundings.file("TOKEN").await.unwrap().unwrap();
        assert_eq!(token.expose(), "s3cret");
        let large = surroundings.file("LARGE").await.unwrap_err();
        assert!(large.contains("is larger than 65536 bytes"), "{large}");
        let missing = surroundings.file("MISSING").await.unwrap_err();
        assert!(missing.starts_with("MISSING: "), "{missing}");
        assert!(surroundings.file("UNSET").await.unwrap().is_none());
        let shown = format!("{surroundings:?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("token"),
            "{shown}"
        );
    }
}

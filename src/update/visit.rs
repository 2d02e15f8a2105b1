//! Visits the files of a tree that may carry markers, and rewrites them one by one.
//!
//! In: a [`Files`], which reads a commit's tree or a folder as it is asked, and `update.path`. Out:
//! a [`Report`] by file in lexical order. Folders are walked, hidden ones too, but not `.git`; a
//! link to a folder is not followed; a link to a file is edited at its target, once, and never
//! outside of the tree. Nothing is written.

use std::collections::HashSet;
use std::sync::Arc;

use super::file::{ObjectChanges, Problem, Rewritten, rewrite};
use super::{Ineffective, Setters, Survey};
use crate::safe::SafePath;

/// How deep folders may nest.
const FOLDERS_DEEP_MAX: usize = 256;
/// How many entries of folders are looked at.
const ENTRIES_MAX: usize = 1_000_000;
/// How many links are followed on the way to one file.
const LINKS_MAX: usize = 40;
/// The folder of a checkout that is no part of the tree.
const GIT_FOLDER: &str = ".git";

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something that is never edited, such as a submodule.
    Other,
}

/// A tree of files that is read as it is visited: a commit's tree, or a folder.
pub trait Files {
    /// Why something could not be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns what stands at a path, without following a link there; nothing if nothing does.
    fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Self::Error>;

    /// Returns the names in a folder with what they are, in any order.
    fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Self::Error>;

    /// Returns the bytes of a file.
    fn read(&self, file: &SafePath) -> Result<Vec<u8>, Self::Error>;

    /// Returns what is known of a file's markers, so that it need not be read.
    fn known(&self, _: &SafePath) -> Result<Option<Arc<Survey>>, Self::Error> {
        Ok(None)
    }

    /// Returns where a link points to, as written.
    fn target(&self, link: &SafePath) -> Result<String, Self::Error>;
}

/// What one file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file's path below `update.path`.
    pub file: String,
    /// The path in the tree that is written to: that of the target, if the file is a link.
    pub path: SafePath,
    /// The new bytes, if any differ; the file's mode stays.
    pub bytes: Option<Vec<u8>>,
    /// The changes by object, in the order of the text.
    pub objects: Vec<ObjectChanges>,
    /// Markers without effect.
    pub ineffective: Vec<Ineffective>,
    /// Documents that were left alone.
    pub problems: Vec<Problem>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The files that there is something to say of, in the order of the visit.
    pub files: Vec<FileReport>,
    /// How many files were looked into.
    pub n_files: usize,
    /// Markers whose value is already what they ask for.
    pub n_current: usize,
}

impl Report {
    /// Returns the paths in the tree that change, and their new bytes.
    pub fn writes(&self) -> impl Iterator<Item = (&SafePath, &[u8])> {
        (self.files.iter()).filter_map(|file| Some((&file.path, file.bytes.as_deref()?)))
    }
}

/// A tree that cannot be visited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `update.path` leads nowhere.
    #[error("walking path for files: lstat {path}: no such file or directory")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// Something could not be read.
    #[error("read {path}: {source}")]
    Read {
        /// The path in the tree.
        path: SafePath,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Folders nest too deeply.
    #[error("{path} is more than {FOLDERS_DEEP_MAX} folders deep")]
    TooDeep {
        /// The path in the tree.
        path: SafePath,
    },
    /// The tree has too many entries.
    #[error("the tree has more than {ENTRIES_MAX} entries")]
    TooMany,
    /// A name in the tree is not a name.
    #[error("{0}")]
    Name(#[from] crate::safe::PathError),
}

/// Rewrites every marked file below `update.path`. Fails when that path leads nowhere or when
/// something cannot be read; a file that cannot be edited is part of the report.
pub fn run<F: Files>(files: &F, path: &str, setters: &Setters) -> Result<Report, Error> {
    let tree = Tree(files);
    let start = match tree.resolve(&SafePath::default(), path, Bounds::Clamp)? {
        Place::At(start, Some(kind)) => (start, kind),
        _ => {
            let path = path.to_owned();
            return Err(Error::Missing { path });
        }
    };
    let (start, kind) = start;
    let mut report = Report::default();
    let mut seen = HashSet::new();
    let mut n_entries = 0;
    let mut waiting = vec![(start.clone(), kind, 0)];
    while let Some((path, kind, depth)) = waiting.pop() {
        n_entries += 1;
        if n_entries > ENTRIES_MAX {
            return Err(Error::TooMany);
        }
        if kind == Kind::Folder {
            if depth > FOLDERS_DEEP_MAX {
                return Err(Error::TooDeep { path });
            }
            for (name, kind) in tree.sorted_entries(&path)?.into_iter().rev() {
                if name != GIT_FOLDER {
                    waiting.push((path.join(&name)?, kind, depth + 1));
                }
            }
        } else if is_candidate(name_of(&path)) {
            let file = relative(&start, &path);
            visit(&tree, &path, kind, file, (&mut seen, setters, &mut report))?;
        }
    }
    Ok(report)
}

type Visit<'v> = (&'v mut HashSet<SafePath>, &'v Setters, &'v mut Report);

/// Rewrites one file, or what a link points to.
fn visit<F: Files>(
    tree: &Tree<'_, F>,
    path: &SafePath,
    kind: Kind,
    file: String,
    (seen, setters, report): Visit<'_>,
) -> Result<(), Error> {
    let target = match kind {
        Kind::File => path.clone(),
        Kind::Link => match tree.resolve_link(path)? {
            Place::At(target, Some(Kind::File)) => target,
            Place::At(..) => return Ok(()),
            Place::Outside => {
                report.files.push(FileReport {
                    file,
                    path: path.clone(),
                    bytes: None,
                    objects: Vec::new(),
                    ineffective: Vec::new(),
                    problems: vec![Problem {
                        line: 1,
                        reason: "the link leads out of the tree".to_owned(),
                    }],
                });
                return Ok(());
            }
        },
        Kind::Folder | Kind::Other => return Ok(()),
    };
    if !seen.insert(target.clone()) {
        return Ok(());
    }
    let known = tree.0.known(&target).map_err(|e| failed(&target, e))?;
    let settled = known.and_then(|survey| survey.settled(setters));
    let rewritten = match settled {
        Some(settled) => settled,
        None => {
            let bytes = tree.0.read(&target).map_err(|e| failed(&target, e))?;
            rewrite(&bytes, setters)
        }
    };
    report.n_files += 1;
    report.n_current += rewritten.n_current;
    let Rewritten {
        bytes,
        objects,
        ineffective,
        problems,
        ..
    } = rewritten;
    if !(objects.is_empty() && ineffective.is_empty() && problems.is_empty()) {
        report.files.push(FileReport {
            file,
            path: target,
            bytes,
            objects,
            ineffective,
            problems,
        });
    }
    Ok(())
}

/// Returns whether Flux would look into a file of that name.
pub fn is_candidate(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml") || name == "Kustomization"
}

fn name_of(path: &SafePath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

/// Returns a file's path below the one that the walk began at.
fn relative(start: &SafePath, path: &SafePath) -> String {
    let below = path
        .as_str()
        .strip_prefix(start.as_str())
        .unwrap_or(path.as_str());
    match below.trim_start_matches('/') {
        "" => name_of(path).to_owned(),
        below => below.to_owned(),
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(path: &SafePath, source: E) -> Error {
    Error::Read {
        path: path.clone(),
        source: Box::new(source),
    }
}

/// What happens to a path that leaves the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// It stays at the root, as in a file system of its own.
    Clamp,
    /// It is outside.
    Refuse,
}

/// Where a path leads.
enum Place {
    At(SafePath, Option<Kind>),
    Outside,
}

struct Tree<'f, F>(&'f F);

impl<F: Files> Tree<'_, F> {
    fn sorted_entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Error> {
        let mut entries = self.0.entries(folder).map_err(|e| failed(folder, e))?;
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }

    fn resolve_link(&self, link: &SafePath) -> Result<Place, Error> {
        let folder = link
            .as_str()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let target = self.0.target(link).map_err(|e| failed(link, e))?;
        self.resolve(&SafePath::parse(folder)?, &target, Bounds::Refuse)
    }

    /// Follows a path part by part, links included, from a folder of the tree.
    fn resolve(&self, from: &SafePath, path: &str, bounds: Bounds) -> Result<Place, Error> {
        let mut at = from.clone();
        let mut kind = Some(Kind::Folder);
        let mut n_links = 0;
        // The parts still to go, the next one last.
        let mut rest: Vec<String> = Vec::new();
        let push = |rest: &mut Vec<String>, path: &str| {
            rest.extend(path.split('/').rev().map(str::to_owned));
        };
        if path.starts_with('/') {
            if bounds == Bounds::Refuse {
                return Ok(Place::Outside);
            }
            at = SafePath::default();
        }
        push(&mut rest, path);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." if at.as_str().is_empty() => {
                    if bounds == Bounds::Refuse {
                        return Ok(Place::Outside);
                    }
                }
                ".." => at = at.join("..")?,
                name => at = at.join(name)?,
            }
            kind = self.0.kind(&at).map_err(|e| failed(&at, e))?;
            if kind != Some(Kind::Link) {
                continue;
            }
            n_links += 1;
            if n_links > LINKS_MAX {
                return Ok(Place::At(at, None));
            }
            let target = self.0.target(&at).map_err(|e| failed(&at, e))?;
            at = at.join("..")?;
            if target.starts_with('/') {
                if bounds == Bounds::Refuse {
                    return Ok(Place::Outside);
                }
                at = SafePath::default();
            }
            push(&mut rest, &target);
        }
        Ok(Place::At(at, kind))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::{Error, Files, Kind, LINKS_MAX, Report, run};
    use crate::api::ImageRef;
    use crate::safe::SafePath;
    use crate::update::{PolicyChoice, Setters};

    enum Entry {
        File(&'static str),
        Link(String),
    }

    /// Files and links by their paths.
    struct Held(BTreeMap<String, Entry>);

    impl Held {
        fn new(entries: impl IntoIterator<Item = (&'static str, Entry)>) -> Self {
            let entries = entries.into_iter();
            Self(
                entries
                    .map(|(path, entry)| (path.to_owned(), entry))
                    .collect(),
            )
        }
    }

    impl Files for Held {
        type Error = Infallible;

        fn kind(&self, path: &SafePath) -> Result<Option<Kind>, Infallible> {
            let below = format!("{path}/");
            let is_folder =
                path.as_str().is_empty() || self.0.keys().any(|p| p.starts_with(&below));
            Ok(match self.0.get(path.as_str()) {
                Some(Entry::File(_)) => Some(Kind::File),
                Some(Entry::Link(_)) => Some(Kind::Link),
                None => is_folder.then_some(Kind::Folder),
            })
        }

        fn entries(&self, folder: &SafePath) -> Result<Vec<(String, Kind)>, Infallible> {
            let prefix = match folder.as_str() {
                "" => String::new(),
                folder => format!("{folder}/"),
            };
            let mut entries = BTreeMap::new();
            for below in self.0.keys().filter_map(|path| path.strip_prefix(&prefix)) {
                let name = below.split('/').next().unwrap();
                let kind = self.kind(&folder.join(name).unwrap())?.unwrap();
                entries.insert(name.to_owned(), kind);
            }
            Ok(entries.into_iter().collect())
        }

        fn read(&self, file: &SafePath) -> Result<Vec<u8>, Infallible> {
            match &self.0[file.as_str()] {
                Entry::File(text) => Ok(text.as_bytes().to_vec()),
                Entry::Link(_) => panic!("{file} is a link"),
            }
        }

        fn target(&self, link: &SafePath) -> Result<String, Infallible> {
            match &self.0[link.as_str()] {
                Entry::Link(target) => Ok(target.clone()),
                Entry::File(_) => panic!("{link} is a file"),
            }
        }
    }

    const MARKED: &str = "tag: old # {\"$imagepolicy\": \"ns:app:tag\"}\n";

    fn link(target: &str) -> Entry {
        Entry::Link(target.to_owned())
    }

    fn ran(files: &Held, path: &str) -> Result<Report, Error> {
        let latest = ImageRef {
            name: "ghcr.io/a/b".to_owned(),
            tag: "1.0.0".to_owned(),
            digest: None,
        };
        let choice = PolicyChoice {
            namespace: "ns",
            name: "app",
            latest: &latest,
        };
        run(files, path, &Setters::new([choice]).unwrap())
    }

    fn written(report: &Report) -> Vec<&str> {
        report.writes().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn a_link_is_edited_at_its_target_and_once() {
        let files = Held::new([
            ("a.yaml", link("real/x.txt")),
            ("b.yaml", link("./real/../real/x.txt")),
            ("real/x.txt", Entry::File(MARKED)),
        ]);
        let report = ran(&files, "").unwrap();
        assert_eq!(written(&report), ["real/x.txt"]);
        assert_eq!(report.files[0].file, "a.yaml");
    }

    #[test]
    fn a_link_that_leads_out_of_the_tree_is_told_and_not_followed() {
        let files = Held::new([
            ("x/a.yaml", link("../../etc/passwd")),
            ("x/b.yaml", link("/etc/passwd")),
            ("x/c.yaml", link("nowhere.yaml")),
        ]);
        let report = ran(&files, "x").unwrap();
        let told: Vec<_> = report.files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(told, ["a.yaml", "b.yaml"]);
        assert!(report.files.iter().all(|file| file.problems.len() == 1));
    }

    #[test]
    fn links_that_lead_around_end() {
        let files = Held::new([("a.yaml", link("b.yaml")), ("b.yaml", link("a.yaml"))]);
        assert_eq!(ran(&files, "").unwrap().files, []);
        let chain = |n_links: usize| {
            let step = |n: usize| (format!("l{n}"), link(&format!("l{}", n + 1)));
            let mut entries: BTreeMap<_, _> = (1..n_links).map(step).collect();
            entries.insert("a.yaml".to_owned(), link("l1"));
            entries.insert(format!("l{n_links}"), Entry::File(MARKED));
            ran(&Held(entries), "").unwrap().files.len()
        };
        assert_eq!(chain(LINKS_MAX + 1), 1);
        assert_eq!(chain(LINKS_MAX + 2), 0);
    }

    #[test]
    fn a_path_never_leaves_the_tree() {
        let files = Held::new([("apps/a.yaml", Entry::File(MARKED))]);
        for path in ["../../apps", "/apps", "./apps/", "apps/../apps"] {
            let report = ran(&files, path).unwrap();
            assert_eq!(written(&report), ["apps/a.yaml"], "{path}");
        }
        assert!(matches!(ran(&files, "nope"), Err(Error::Missing { .. })));
    }

    #[test]
    fn the_folder_of_git_is_not_visited() {
        let files = Held::new([
            (".git/a.yaml", Entry::File(MARKED)),
            (".hidden/a.yaml", Entry::File(MARKED)),
        ]);
        assert_eq!(written(&ran(&files, "").unwrap()), [".hidden/a.yaml"]);
    }
}

//! Fetches: `ls-refs` and `fetch` of protocol version 2, and the one exchange of version 0.
//!
//! In: wants, haves, the client's shallow commits, a depth. Out: a pack without deltas that holds
//! what is reachable from the wants and not in the trees of the common haves.

use std::collections::{BTreeSet, HashMap, HashSet};

use gix::{ObjectId, objs::Kind};

use super::{Line, Lines, Refusal, head_name, parse_id, references};
use crate::git::{
    objects::{self, PackWriter, commit_parts, walk_tree},
    pkt,
};

/// What version 0 may ask for.
pub(super) const CAPABILITIES: &str =
    "side-band-64k shallow no-progress ofs-delta thin-pack object-format=sha1";
/// Most commits walked for one fetch.
const COMMITS_MAX: usize = 1_000_000;
/// Most bytes of objects put into one pack: the demo's repositories hold kilobytes.
const PACK_BYTES_MAX: usize = 256 << 20;

/// What a client asks for.
#[derive(Debug, Default)]
struct Ask {
    wants: Vec<ObjectId>,
    haves: Vec<ObjectId>,
    shallow: HashSet<ObjectId>,
    depth: Option<u32>,
    done: bool,
}

impl Ask {
    fn read(&mut self, line: &str) -> Result<(), Refusal> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let first = rest.split([' ', '\0']).next().unwrap_or_default();
        match word {
            "want" => self.wants.push(parse_id(first)?),
            "have" => self.haves.push(parse_id(first)?),
            "shallow" => {
                self.shallow.insert(parse_id(first)?);
            }
            "deepen" => {
                let depth = first.parse().ok().filter(|depth| *depth > 0);
                let depth = depth.ok_or_else(|| Refusal::Git(format!("bad depth {first:?}")))?;
                self.depth = Some(depth);
            }
            "done" => self.done = true,
            "thin-pack" | "no-progress" | "ofs-delta" | "include-tag" | "wait-for-done" => {}
            word => return Err(Refusal::Git(format!("{word} is not supported here"))),
        }
        Ok(())
    }
}

/// Returns the answer to a request.
pub(super) fn serve(
    repository: &gix::Repository,
    body: &[u8],
    version_2: bool,
) -> Result<Vec<u8>, Refusal> {
    let mut lines = Lines::new(body);
    match version_2 {
        true => serve_2(repository, &mut lines),
        false => serve_0(repository, &mut lines),
    }
}

fn serve_2(repository: &gix::Repository, lines: &mut Lines<'_>) -> Result<Vec<u8>, Refusal> {
    let mut command = String::new();
    let mut arguments = Vec::new();
    let mut in_arguments = false;
    while let Some(line) = lines.next()? {
        match line {
            Line::Text(text) if in_arguments => arguments.push(text),
            Line::Text(text) => {
                if let Some(name) = text.strip_prefix("command=") {
                    command = name.to_owned();
                }
            }
            Line::Delimiter => in_arguments = true,
            Line::Flush => break,
        }
    }
    match command.as_str() {
        "ls-refs" => list(repository, &arguments),
        "fetch" => {
            let mut ask = Ask::default();
            for argument in &arguments {
                ask.read(argument)?;
            }
            fetch_2(repository, &ask)
        }
        command => Err(Refusal::Git(format!("unknown command {command:?}"))),
    }
}

fn list(repository: &gix::Repository, arguments: &[String]) -> Result<Vec<u8>, Refusal> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let prefixes: Vec<&str> = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix("ref-prefix "))
        .collect();
    let wanted =
        |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let references = references(repository)?;
    let mut body = Vec::new();
    if let Some(head) = head_name(repository)
        && wanted("HEAD")
    {
        let target = match has("symrefs") {
            true => format!(" symref-target:{head}"),
            false => String::new(),
        };
        match references.get(&head) {
            Some(reference) => pkt::line(&mut body, format!("{} HEAD{target}\n", reference.id)),
            None if has("unborn") => pkt::line(&mut body, format!("unborn HEAD{target}\n")),
            None => {}
        }
    }
    for (name, reference) in references.iter().filter(|(name, _)| wanted(name)) {
        let peeled = match reference.peeled {
            Some(peeled) if has("peel") => format!(" peeled:{peeled}"),
            _ => String::new(),
        };
        pkt::line(&mut body, format!("{} {name}{peeled}\n", reference.id));
    }
    pkt::flush(&mut body);
    Ok(body)
}

fn fetch_2(repository: &gix::Repository, ask: &Ask) -> Result<Vec<u8>, Refusal> {
    let common = common(repository, ask)?;
    let mut body = Vec::new();
    if !ask.done {
        pkt::line(&mut body, "acknowledgments\n");
        if common.is_empty() {
            pkt::line(&mut body, "NAK\n");
            pkt::flush(&mut body);
            return Ok(body);
        }
        for id in &common {
            pkt::line(&mut body, format!("ACK {id}\n"));
        }
        pkt::line(&mut body, "ready\n");
        pkt::delimiter(&mut body);
    }
    let (pack, cut) = pack(repository, ask, &common)?;
    if ask.depth.is_some() {
        pkt::line(&mut body, "shallow-info\n");
        cut.write(&mut body);
        pkt::delimiter(&mut body);
    }
    pkt::line(&mut body, "packfile\n");
    band(&mut body, &pack);
    pkt::flush(&mut body);
    Ok(body)
}

fn serve_0(repository: &gix::Repository, lines: &mut Lines<'_>) -> Result<Vec<u8>, Refusal> {
    let mut ask = Ask::default();
    let (mut banded, mut n_flushes) = (false, 0);
    while let Some(line) = lines.next()? {
        match line {
            Line::Text(text) => {
                banded |= text.starts_with("want ") && text.contains(" side-band-64k");
                ask.read(&text)?;
            }
            Line::Flush | Line::Delimiter => n_flushes += 1,
        }
    }
    if !banded {
        return Err(Refusal::Git("side-band-64k is needed here".to_owned()));
    }
    let common = common(repository, &ask)?;
    let (pack, cut) = pack(repository, &ask, &common)?;
    let mut body = Vec::new();
    if ask.depth.is_some() {
        cut.write(&mut body);
        pkt::flush(&mut body);
    }
    // The first flush ends the wants: a client may only ask where history is cut.
    match common.last() {
        _ if !ask.done && n_flushes < 2 => {}
        Some(id) => pkt::line(&mut body, format!("ACK {id}\n")),
        None => pkt::line(&mut body, "NAK\n"),
    }
    if ask.done {
        band(&mut body, &pack);
        pkt::flush(&mut body);
    }
    Ok(body)
}

fn band(body: &mut Vec<u8>, pack: &[u8]) {
    pkt::band(body, 1, pack);
}

/// Returns the client's commits that are here, too.
fn common(repository: &gix::Repository, ask: &Ask) -> Result<Vec<ObjectId>, Refusal> {
    let mut common = Vec::new();
    for id in &ask.haves {
        if let Some((Kind::Commit, _)) = objects::try_read(&repository.objects, *id)? {
            common.push(*id);
        }
    }
    Ok(common)
}

/// Where the client's history ends, and no longer ends.
#[derive(Debug, Default)]
struct Cut {
    shallow: BTreeSet<ObjectId>,
    unshallow: BTreeSet<ObjectId>,
}

impl Cut {
    fn write(&self, body: &mut Vec<u8>) {
        for id in &self.shallow {
            pkt::line(body, format!("shallow {id}\n"));
        }
        for id in &self.unshallow {
            pkt::line(body, format!("unshallow {id}\n"));
        }
    }
}

/// Returns the pack and where it cuts history.
fn pack(
    repository: &gix::Repository,
    ask: &Ask,
    common: &[ObjectId],
) -> Result<(Vec<u8>, Cut), Refusal> {
    let db = &repository.objects;
    let mut wants = Vec::new();
    let mut found = Vec::new();
    for want in &ask.wants {
        let mut id = *want;
        loop {
            let read = objects::try_read(db, id)?;
            let (kind, data) =
                read.ok_or_else(|| Refusal::Git(format!("upload-pack: not our ref {want}")))?;
            if kind != Kind::Tag {
                break;
            }
            found.push(id);
            id = objects::tag_target(id, &data)?;
        }
        wants.push(id);
    }
    let mut cut = Cut::default();
    if let Some(depth) = ask.depth {
        mark_depth(repository, &wants, (depth, &ask.shallow), &mut cut)?;
    }
    let has = Walk {
        ends: &ask.shallow,
        skip: &HashSet::new(),
    };
    let theirs: HashSet<ObjectId> = has.commits(repository, common)?.into_iter().collect();
    let mut ends: HashSet<ObjectId> = cut.shallow.iter().copied().collect();
    ends.extend(
        ask.shallow
            .difference(&cut.unshallow.iter().copied().collect()),
    );
    let mut roots = wants;
    // The parents of commits that are no longer cut are wanted, though their child is known.
    for id in &cut.unshallow {
        let (_, data) = objects::read(db, *id)?;
        roots.extend(commit_parts(*id, &data)?.parents);
    }
    let walk = Walk {
        ends: &ends,
        skip: &theirs,
    };
    let commits = walk.commits(repository, &roots)?;
    let mut seen = HashSet::new();
    for id in common {
        let (_, data) = objects::read(db, *id)?;
        let tree = commit_parts(*id, &data)?.tree;
        if !tree.is_empty_tree() {
            walk_tree(db, tree, &mut seen, &mut Vec::new())?;
        }
    }
    found.extend(&commits);
    for id in &commits {
        let (_, data) = objects::read(db, *id)?;
        let tree = commit_parts(*id, &data)?.tree;
        walk_tree(db, tree, &mut seen, &mut found)?;
    }
    Ok((write_pack(repository, &found)?, cut))
}

fn write_pack(repository: &gix::Repository, ids: &[ObjectId]) -> Result<Vec<u8>, Refusal> {
    let failed = |cause: std::io::Error| Refusal::Git(cause.to_string());
    let n = u32::try_from(ids.len()).map_err(|_| Refusal::Git("too many objects".to_owned()))?;
    let mut pack = PackWriter::start(Vec::new(), n).map_err(failed)?;
    let mut n_bytes = 0;
    for id in ids {
        let (kind, data) = objects::read(&repository.objects, *id)?;
        n_bytes += data.len();
        if n_bytes > PACK_BYTES_MAX {
            return Err(Refusal::Git(format!(
                "more than {PACK_BYTES_MAX} bytes of objects"
            )));
        }
        pack.add(kind, &data).map_err(failed)?;
    }
    pack.finish().map_err(failed)
}

/// Finds the commits `depth` away from the wants that have parents, and those of the client's
/// shallow ones that are nearer.
fn mark_depth(
    repository: &gix::Repository,
    wants: &[ObjectId],
    (depth, shallow): (u32, &HashSet<ObjectId>),
    cut: &mut Cut,
) -> Result<(), Refusal> {
    let mut distance: HashMap<ObjectId, u32> = HashMap::new();
    let mut level: Vec<ObjectId> = wants.to_vec();
    for at in 1..=depth {
        let mut next = Vec::new();
        for id in level {
            if distance.len() > COMMITS_MAX || distance.contains_key(&id) {
                continue;
            }
            distance.insert(id, at);
            let (kind, data) = objects::read(&repository.objects, id)?;
            if kind != Kind::Commit {
                continue;
            }
            let parents = commit_parts(id, &data)?.parents;
            if at == depth && !parents.is_empty() {
                cut.shallow.insert(id);
            } else if shallow.contains(&id) {
                cut.unshallow.insert(id);
            }
            next.extend(parents);
        }
        level = next;
        if level.is_empty() {
            break;
        }
    }
    Ok(())
}

/// A walk over commits from children to parents.
struct Walk<'a> {
    /// Commits whose parents are not followed.
    ends: &'a HashSet<ObjectId>,
    /// Commits that are left out, with their parents.
    skip: &'a HashSet<ObjectId>,
}

impl Walk<'_> {
    fn commits(
        &self,
        repository: &gix::Repository,
        roots: &[ObjectId],
    ) -> Result<Vec<ObjectId>, Refusal> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        let mut todo = roots.to_vec();
        while let Some(id) = todo.pop() {
            if self.skip.contains(&id) || !seen.insert(id) {
                continue;
            }
            let (kind, data) = objects::read(&repository.objects, id)?;
            if kind != Kind::Commit {
                return Err(Refusal::Git(format!(
                    "{id} is a {kind}; only commits are served"
                )));
            }
            found.push(id);
            if found.len() > COMMITS_MAX {
                return Err(Refusal::Git(format!("more than {COMMITS_MAX} commits")));
            }
            if !self.ends.contains(&id) {
                todo.extend(commit_parts(id, &data)?.parents);
            }
        }
        Ok(found)
    }
}

//! What a path means: a document of the server, or a resource, object or subresource.
//!
//! Pure: the path comes in, a [`Route`] goes out. Whether a kind is served is looked up later.

use super::query::decode;

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Version,
    Health,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/{group}`.
    Group(String),
    /// `/api/v1` or `/apis/{group}/{version}`.
    GroupVersion(String, String),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/{group}/{version}`.
    OpenApi(String, String),
    Resource(Target),
    Unknown,
}

/// A resource, an object or a subresource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// The old way to ask for a watch, by path.
    pub(crate) watch: bool,
}

/// Returns what a path asks for.
pub(crate) fn route(path: &str) -> Route {
    let parts: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .filter(|p| !p.is_empty())
        .map(decode)
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let own = |s: &str| s.to_owned();
    match parts.as_slice() {
        ["version"] => Route::Version,
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["api"] => Route::Core,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group(own(group)),
        ["api", version] => Route::GroupVersion(String::new(), own(version)),
        ["apis", group, version] => Route::GroupVersion(own(group), own(version)),
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", "api", version] => Route::OpenApi(String::new(), own(version)),
        ["openapi", "v3", "apis", group, version] => Route::OpenApi(own(group), own(version)),
        ["api", version, rest @ ..] => target("", version, rest),
        ["apis", group, version, rest @ ..] => target(group, version, rest),
        _ => Route::Unknown,
    }
}

fn target(group: &str, version: &str, rest: &[&str]) -> Route {
    let (watch, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (namespace, object) = match rest {
        ["namespaces", _, "status" | "finalize"] if group.is_empty() => ("", rest),
        ["namespaces", namespace, object @ ..] if !object.is_empty() => (*namespace, object),
        object => ("", object),
    };
    let [plural, place @ ..] = object else {
        return Route::Unknown;
    };
    let (name, subresource) = match place {
        [] => ("", String::new()),
        [name, sub @ ..] => (*name, sub.join("/")),
    };
    Route::Resource(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        plural: (*plural).to_owned(),
        name: name.to_owned(),
        subresource,
        watch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        match route(path) {
            Route::Resource(t) => {
                let parts = [
                    &t.group,
                    &t.version,
                    &t.namespace,
                    &t.plural,
                    &t.name,
                    &t.subresource,
                ];
                parts.map(String::as_str).join("|")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_say_what_they_ask_for() {
        let cases = [
            ("/api/v1/namespaces", "|v1||namespaces||"),
            ("/api/v1/namespaces/a", "|v1||namespaces|a|"),
            ("/api/v1/namespaces/a/status", "|v1||namespaces|a|status"),
            (
                "/api/v1/namespaces/a/finalize",
                "|v1||namespaces|a|finalize",
            ),
            ("/api/v1/namespaces/a/pods", "|v1|a|pods||"),
            ("/api/v1/namespaces/a/pods/b", "|v1|a|pods|b|"),
            (
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "apps|v1|a|deployments|d|scale",
            ),
            ("/apis/apps/v1/deployments", "apps|v1||deployments||"),
            ("/apis/x.dev/v1/things/a%3Ab", "x.dev|v1||things|a:b|"),
            ("/api/v1/watch/namespaces/a/pods", "|v1|a|pods||"),
            ("/livez/ping", "Health"),
            ("/openapi/v3/apis/apps/v1", "OpenApi(\"apps\", \"v1\")"),
            ("/nope", "Unknown"),
        ];
        for (path, want) in cases {
            assert_eq!(shown(path), want, "{path}");
        }
    }
}

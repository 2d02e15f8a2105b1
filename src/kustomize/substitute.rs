//! Post-build substitution: variables of a Kustomization put into built objects.
//!
//! Each object is printed as YAML, expanded as one text and read again, as upstream does, so that a
//! value can become a number or a boolean. Objects that opt out and objects without a `$` are left
//! alone. Values never appear in an error.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Error, expand};

/// The label or annotation that keeps an object from being substituted, spelled exactly so.
const OPT_OUT: (&str, &str) = ("kustomize.toolkit.fluxcd.io/substitute", "disabled");

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[_a-zA-Z][_a-zA-Z0-9]*$").expect("because the pattern is a constant")
});

/// The variables of a build.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    always: bool,
}

impl Variables {
    /// Returns the variables of `layers`, of which later ones win; line feeds are taken out of
    /// values, as upstream does. With `always`, expansion runs without any variable too. Fails at a
    /// name that is not one.
    pub fn new(
        layers: impl IntoIterator<Item = BTreeMap<String, String>>,
        always: bool,
    ) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        for (name, value) in layers.into_iter().flatten() {
            if !NAME.is_match(&name) {
                return Err(Error::VariableName { name });
            }
            values.insert(name, value.replace('\n', ""));
        }
        Ok(Self { values, always })
    }

    fn is_idle(&self) -> bool {
        self.values.is_empty() && !self.always
    }
}

/// Returns the objects with every `${…}` expanded. Fails at a variable without a value or a default,
/// and where the expanded text is no object any more.
pub fn substitute(objects: Vec<Value>, variables: &Variables) -> Result<Vec<Value>, Error> {
    if variables.is_idle() {
        return Ok(objects);
    }
    objects
        .into_iter()
        .map(|object| substitute_one(object, variables))
        .collect()
}

fn substitute_one(object: Value, variables: &Variables) -> Result<Value, Error> {
    if is_opted_out(&object) {
        return Ok(object);
    }
    let text = yaml::to_yaml(&object);
    if !text.contains('$') {
        return Ok(object);
    }
    let failed = |reason: String| Error::Substitute {
        object: name(&object),
        reason,
    };
    let lookup = |name: &str| variables.values.get(name).map(String::as_str);
    let expanded = expand(&text, &lookup, true)
        .map_err(|error| failed(format!("variable substitution failed: {error}")))?;
    let mut values = yaml::to_values(&expanded).map_err(|error| failed(error.to_string()))?;
    match (values.pop(), values.is_empty()) {
        (Some(value @ Value::Object(_)), true) => Ok(value),
        _ => Err(failed("the result is not one object".to_owned())),
    }
}

fn is_opted_out(object: &Value) -> bool {
    ["labels", "annotations"].iter().any(|place| {
        let value = object
            .get("metadata")
            .and_then(|m| m.get(place))
            .and_then(|p| p.get(OPT_OUT.0));
        value.and_then(Value::as_str) == Some(OPT_OUT.1)
    })
}

fn name(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("")
    };
    format!(
        "{} {}/{}",
        text("/apiVersion"),
        text("/kind"),
        text("/metadata/name")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let layer = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Variables::new([layer], false).unwrap()
    }

    fn object(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn values_are_read_as_yaml_again() {
        let variables = variables(&[
            ("n", "123"),
            ("q", "\""),
            ("s", "!!str 123"),
            ("zone", "\naz-1b\n"),
        ]);
        let data = json!({"a": "${n}", "b": "${q}${n}${q}", "c": "${s}", "d": "${env:=dev}",
            "e": "${zone}", "f": "$${var}"});
        let want = json!({"a": 123, "b": "123", "c": "123", "d": "dev", "e": "az-1b",
            "f": "${var}"});
        let got = substitute(vec![object(data)], &variables).unwrap();
        assert_eq!(got, [object(want)]);
    }

    #[test]
    fn without_variables_nothing_happens_unless_always() {
        let input = vec![object(json!({"a": "${x:=d}"}))];
        let none = Variables::new([], false).unwrap();
        assert_eq!(substitute(input.clone(), &none).unwrap(), input);
        let always = Variables::new([], true).unwrap();
        assert_eq!(
            substitute(input, &always).unwrap(),
            [object(json!({"a": "d"}))]
        );
    }

    #[test]
    fn a_missing_variable_names_the_object() {
        let variables = variables(&[("x", "1")]);
        let error = substitute(vec![object(json!({"a": "${missing}"}))], &variables).unwrap_err();
        let want = "post build failed for 'v1 ConfigMap/a': envsubst error: variable substitution \
            failed: variable not set (strict mode): \"missing\"";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn an_object_may_opt_out() {
        let mut input = object(json!({"a": "${x}"}));
        input["metadata"]["annotations"] = json!({OPT_OUT.0: OPT_OUT.1});
        let got = substitute(vec![input.clone()], &variables(&[("x", "1")])).unwrap();
        assert_eq!(got, [input]);
    }

    #[test]
    fn a_wrong_name_is_refused_even_if_unused() {
        let layer = BTreeMap::from([("a-b".to_owned(), String::new())]);
        let error = Variables::new([layer], false).err().unwrap();
        assert!(error.to_string().contains("must match"), "{error}");
    }
}

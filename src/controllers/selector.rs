//! Label selectors, as Kubernetes reads them.
//!
//! In: a selector and labels. Out: whether it selects them, or what is wrong with it. Pure.

use std::collections::BTreeMap;

use crate::api::{LabelRequirement, LabelSelector};

type Labels = BTreeMap<String, String>;

/// Returns what is wrong with a selector, if anything is, in Kubernetes' words.
pub fn check(selector: &LabelSelector) -> Result<(), String> {
    for LabelRequirement {
        key,
        operator,
        values,
    } in &selector.match_expressions
    {
        if key.is_empty() {
            return Err("name part must be non-empty".to_owned());
        }
        match (operator.as_str(), values.is_empty()) {
            ("In" | "NotIn", false) | ("Exists" | "DoesNotExist", true) => {}
            ("In" | "NotIn", true) => {
                return Err(format!(
                    "values: Invalid value: []: for 'in', 'notin' operators, values set can't be \
                     empty (key {key:?})"
                ));
            }
            ("Exists" | "DoesNotExist", false) => {
                return Err(format!(
                    "values: Invalid value: {values:?}: values set must be empty for exists and \
                     does not exist (key {key:?})"
                ));
            }
            _ => {
                return Err(format!(
                    "{operator:?} is not a valid label selector operator"
                ));
            }
        }
    }
    Ok(())
}

/// Returns whether a selector that is sound selects the labels; no selector selects all.
pub fn selects(selector: Option<&LabelSelector>, labels: Option<&Labels>) -> bool {
    let Some(selector) = selector else {
        return true;
    };
    let value = |key: &str| labels.and_then(|labels| labels.get(key));
    let mut equal = selector.match_labels.iter();
    let mut required = selector.match_expressions.iter();
    equal.all(|(key, wanted)| value(key) == Some(wanted))
        && required.all(|requirement| {
            let value = value(&requirement.key);
            let is_listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

/// Returns a selector as kubectl writes it, such as `team=a,tier in (x, y)`.
pub fn text(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter();
    let equal = equal.map(|(key, value)| format!("{key}={value}"));
    let required = selector.match_expressions.iter().map(|requirement| {
        let (key, values) = (&requirement.key, requirement.values.join(", "));
        match requirement.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.clone(),
            _ => format!("!{key}"),
        }
    });
    equal.chain(required).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selector(selector: Value) -> LabelSelector {
        serde_json::from_value(selector).unwrap()
    }

    #[test]
    fn labels_are_selected_by_all_requirements() {
        let labels = Labels::from([("team".to_owned(), "a".to_owned())]);
        let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (given, want) in [
            (json!({}), true),
            (json!({"matchLabels": {"team": "a"}}), true),
            (json!({"matchLabels": {"team": "b"}}), false),
            (json!({"matchLabels": {"team": "a", "tier": "x"}}), false),
            (expression("team", "In", json!(["a", "b"])), true),
            (expression("team", "NotIn", json!(["a"])), false),
            (expression("tier", "NotIn", json!(["a"])), true),
            (expression("team", "Exists", json!([])), true),
            (expression("tier", "Exists", json!([])), false),
            (expression("tier", "DoesNotExist", json!([])), true),
        ] {
            let given = selector(given);
            assert_eq!(check(&given), Ok(()));
            assert_eq!(selects(Some(&given), Some(&labels)), want, "{given:?}");
        }
        assert!(selects(None, None));
    }

    #[test]
    fn a_selector_that_is_none_says_why() {
        for (operator, values, want) in [
            (
                "in",
                json!(["a"]),
                "\"in\" is not a valid label selector operator",
            ),
            ("In", json!([]), "values set can't be empty"),
            ("Exists", json!(["a"]), "values set must be empty"),
        ] {
            let requirement = json!({"key": "team", "operator": operator, "values": values});
            let given = selector(json!({"matchExpressions": [requirement]}));
            let error = check(&given).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_selector_reads_as_kubectl_writes_it() {
        let given = selector(json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["d", "e"]},
            {"key": "f", "operator": "NotIn", "values": ["g"]},
            {"key": "h", "operator": "Exists"}, {"key": "i", "operator": "DoesNotExist"}]}));
        assert_eq!(text(&given), "a=b,c in (d, e),f notin (g),h,!i");
    }
}

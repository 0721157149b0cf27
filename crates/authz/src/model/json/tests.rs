use super::*;

/// A type `doc` with relations, in JSON.
fn document(relations: &str, types: &str) -> String {
    format!(
        r#"{{"schema_version": "1.1", "type_definitions": [
            {{"type": "user"}},
            {{"type": "group", "relations": {{"member": {{"this": {{}}}}}},
              "metadata": {{"relations": {{"member": {{"directly_related_user_types": [{{"type": "user"}}]}}}}}}}},
            {{"type": "doc", "relations": {{{relations}}}, "metadata": {{"relations": {{{types}}}}}}}
        ]}}"#
    )
}

fn dsl(relations: &str, types: &str) -> String {
    let read = JsonModel::read(&document(relations, types)).expect("a model");
    let prefix = "model\n  schema 1.1\n\ntype user\n\ntype group\n  relations\n    define member: [user]\n\ntype doc\n  relations\n";
    read.dsl()
        .strip_prefix(prefix)
        .expect("the types before")
        .to_owned()
}

const USERS: &str = r#""directly_related_user_types": [{"type": "user"}]"#;

#[test]
fn every_form_is_read_and_types_come_to_the_front() {
    let a = format!(r#""a": {{{USERS}}}"#);
    for (relations, text) in [
        (r#""a": {"this": {}}"#, "define a: [user]"),
        (
            r#""a": {"union": {"child": [{"computedUserset": {"object": "", "relation": "b"}}, {"this": {}}]}}"#,
            "define a: [user] or b",
        ),
        (
            r#""a": {"intersection": {"child": [{"computed_userset": {"relation": "b"}},
                {"union": {"child": [{"tupleToUserset": {"tupleset": {"relation": "p"}, "computedUserset": {"relation": "c"}}}, {"this": {}}]}}]}}"#,
            "define a: ([user] or c from p) and b",
        ),
        (
            r#""a": {"difference": {"base": {"this": {}}, "subtract": {"computedUserset": {"relation": "b"}}}}"#,
            "define a: [user] but not b",
        ),
        (r#""a": {"union": {"child": [{"this": {}}]}}"#, "define a: [user]"),
    ] {
        assert_eq!(dsl(relations, &a), format!("    {text}\n"), "{relations}");
    }
    let kinds = r#""a": {"directly_related_user_types": [{"type": "user", "condition": ""},
        {"type": "user", "wildcard": {}}, {"type": "group", "relation": "member"}], "module": "", "source_info": null}"#;
    assert_eq!(
        dsl(r#""a": {"this": {}}"#, kinds),
        "    define a: [user, user:*, group#member]\n"
    );
}

fn assert_refused(json: &str, path: &str, message: &str) {
    let error = JsonModel::read(json).expect_err(json);
    assert_eq!(
        (error.path.as_str(), error.message.as_str()),
        (path, message),
        "{json}"
    );
}

#[test]
fn what_is_no_relation_is_refused_at_its_path() {
    let a = format!(r#""a": {{{USERS}}}"#);
    let this = r#""a": {"this": {}}"#;
    for (json, path, message) in [
        (
            document(this, ""),
            "type_definitions[2].relations.a",
            "`this` takes no types; name them in `metadata`, as the relation's `directly_related_user_types`",
        ),
        (
            document(r#""a": {"computedUserset": {"relation": "b"}}"#, &a),
            "type_definitions[2].metadata.relations.a.directly_related_user_types",
            "the relation takes no tuples of its own; remove the types, or add `this`",
        ),
        (
            document("", &a),
            "type_definitions[2].metadata.relations.a",
            "there is no relation of this name; remove this, or define it",
        ),
        (
            document(r#""a": {"union": {"child": [{"this": {}}, {"this": {}}]}}"#, &a),
            "type_definitions[2].relations.a.union.child[1]",
            "`this` stands twice in the relation; define a part as a relation of its own",
        ),
        (
            document(
                r#""a": {"difference": {"base": {"computedUserset": {"relation": "b"}}, "subtract": {"this": {}}}}"#,
                &a,
            ),
            "type_definitions[2].relations.a",
            "`this` stands in a `subtract`, for which the language has no form; define what is subtracted as a relation \
             of its own",
        ),
        (
            document(r#""a": {"union": {"child": []}}"#, ""),
            "type_definitions[2].relations.a.union",
            "`child` is expected here, with at least one element",
        ),
        (
            document(r#""a": {"this": {}, "union": {"child": []}}"#, &a),
            "type_definitions[2].relations.a",
            "exactly one of `this`, `computedUserset`, `tupleToUserset`, `union`, `intersection` and `difference` is \
             expected here",
        ),
        (
            document(r#""a": {"magic": {}}"#, ""),
            "type_definitions[2].relations.a",
            "there is no key `magic` here; remove it",
        ),
        (
            document(r#""a": {"computedUserset": "b"}"#, ""),
            "type_definitions[2].relations.a.computedUserset",
            "an object is expected here, not a string",
        ),
        (
            document(
                r#""a": {"computedUserset": {"object": "doc:1", "relation": "b"}}"#,
                "",
            ),
            "type_definitions[2].relations.a.computedUserset.object",
            "no object stands in a model; remove it",
        ),
        (
            document(r#""and": {"computedUserset": {"relation": "b"}}"#, ""),
            "type_definitions[2].relations.and",
            "`and` cannot be the name of a relation; choose another",
        ),
        (
            document(
                this,
                r#""a": {"directly_related_user_types": [{"type": "user", "condition": "late"}]}"#,
            ),
            "type_definitions[2].metadata.relations.a.directly_related_user_types[0].condition",
            "conditions are not supported; remove this one",
        ),
    ] {
        assert_refused(&json, path, message);
    }
}

#[test]
fn what_is_no_model_is_refused_at_its_path() {
    let a = format!(r#""a": {{{USERS}}}"#);
    let deep = (0..20).fold(r#"{"this": {}}"#.to_owned(), |inner, _| {
        format!(r#"{{"union": {{"child": [{inner}, {{"computedUserset": {{"relation": "b"}}}}]}}}}"#)
    });
    for (json, path, message) in [
        (
            document(&format!(r#""a": {deep}"#), &a),
            "type_definitions[2].relations.a.union.child[0].union.child[0].union.child[0].union.child[0].union.child[0].\
             union.child[0].union.child[0].union.child[0].union.child[0].union.child[0].union.child[0].union.child[0].\
             union.child[0].union.child[0].union.child[0].union.child[0].union.child[0]",
            "this is nested too deep; define a part as a relation of its own",
        ),
        (
            r#"{"type_definitions": []}"#.to_owned(),
            "$",
            "`schema_version` is missing; add `\"schema_version\": \"1.1\"`",
        ),
        (
            r#"{"schema_version": "1.2"}"#.to_owned(),
            "schema_version",
            "only schema `1.1` is known; write `\"1.1\"`",
        ),
        (
            r#"{"schema_version": "1.1", "schemaVersion": "1.1"}"#.to_owned(),
            "$",
            "`schema_version` stands here in two ways; remove one",
        ),
        (
            r#"{"schema_version": "1.1", "schema_version": "1.1"}"#.to_owned(),
            "$",
            "this is not JSON: the key `schema_version` stands twice at line 1 column 50",
        ),
        (
            r#"{"schema_version": "1.1", "conditions": {"late": {}}}"#.to_owned(),
            "conditions",
            "conditions are not supported; remove them",
        ),
        (
            r#"{"schema_version": "1.1", "type_definitions": [{"type": "user", "metadata": {"module": "core"}}]}"#
                .to_owned(),
            "type_definitions[0].metadata.module",
            "modules are not supported; write all types into one model",
        ),
    ] {
        assert_refused(&json, path, message);
    }
}

#[test]
fn names_that_lead_nowhere_are_found_in_the_json() {
    let a = format!(r#""a": {{{USERS}}}"#);
    for (relations, types, path, message) in [
        (
            r#""a": {"union": {"child": [{"computedUserset": {"relation": "b"}}, {"this": {}}]}}"#,
            a.as_str(),
            "type_definitions[2].relations.a.union.child[0].computedUserset.relation",
            "the type `doc` has no relation `b`; define it with `define b: …`",
        ),
        (
            r#""a": {"this": {}}"#,
            r#""a": {"directly_related_user_types": [{"type": "user"}, {"type": "person"}]}"#,
            "type_definitions[2].metadata.relations.a.directly_related_user_types[1]",
            "there is no type `person`; define it with `type person`",
        ),
        (
            r#""a": {"computedUserset": {"relation": "a"}}"#,
            "",
            "type_definitions[2].relations.a",
            "`a` is computed from itself and never ends; take it out of its own definition",
        ),
    ] {
        let error = Model::parse_json(&document(relations, types)).expect_err(relations);
        assert_eq!((error.path.as_str(), error.message.as_str()), (path, message));
    }
}

#[test]
fn it_is_written_as_openfga_writes_it() {
    let written = Model::dsl_to_json(
        "model
  schema 1.1
type user
type doc
  relations
    define b: [user, user:*] but not a
    define a: [doc#b]",
    );
    let expected = r#"{
  "schema_version": "1.1",
  "type_definitions": [
    {
      "type": "user",
      "relations": {},
      "metadata": null
    },
    {
      "type": "doc",
      "relations": {
        "b": {
          "difference": {
            "base": {
              "this": {}
            },
            "subtract": {
              "computedUserset": {
                "relation": "a"
              }
            }
          }
        },
        "a": {
          "this": {}
        }
      },
      "metadata": {
        "relations": {
          "b": {
            "directly_related_user_types": [
              {
                "type": "user"
              },
              {
                "type": "user",
                "wildcard": {}
              }
            ]
          },
          "a": {
            "directly_related_user_types": [
              {
                "type": "doc",
                "relation": "b"
              }
            ]
          }
        }
      }
    }
  ]
}"#;
    assert_eq!(written.as_deref(), Ok(expected));
}

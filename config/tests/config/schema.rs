//! The committed JSON Schemas are the ones that the types generate.

use std::fs;
use std::path::Path;

use schemars::Schema;

fn assert_committed(name: &str, schema: &Schema) {
    let generated = format!(
        "{}\n",
        serde_json::to_string_pretty(schema).expect("a schema is JSON")
    );
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if fs::read_to_string(&committed).is_ok_and(|text| text == generated) {
        return;
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR")).expect("the directory can be made");
    fs::write(&fresh, generated).expect("the schema can be written");
    panic!(
        "`config/{name}` is out of date: copy `{}` over it",
        fresh.display()
    );
}

#[test]
fn the_committed_schemas_are_up_to_date() {
    assert_committed("edge.schema.json", &sentinel_config::edge::schema());
    assert_committed(
        "control-plane.schema.json",
        &sentinel_config::control_plane::schema(),
    );
}

//! SQL of relation tuples. A request's tuples go to the database in one statement, as one list in JSON, however many there
//! are.

use sentinel_core::name::ServiceName;
use sentinel_core::{Object, Subject, Timestamp, Tuple};
use sentinel_store::{Sql, StoreError, Tx, execute, fetch_all};

use crate::relations::{Filter, RelationTuple};

#[derive(sqlx::FromRow)]
struct Row {
    service_name: String,
    object: String,
    relation: String,
    subject: String,
    expires_at: Option<Timestamp>,
}

impl TryFrom<Row> for RelationTuple {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let text = format!(
            "{}/{}#{}@{}",
            row.service_name, row.object, row.relation, row.subject
        );
        let tuple = text.parse();
        Ok(Self {
            tuple: tuple.map_err(|_| StoreError::corrupt("relation_tuples", "object", &text))?,
            until: row.expires_at,
        })
    }
}

fn tuples(rows: Vec<Row>) -> Result<Vec<RelationTuple>, StoreError> {
    rows.into_iter().map(RelationTuple::try_from).collect()
}

/// Tuples of one kind: what they have in common decides whether a model allows them.
pub(in crate::relations) struct Shape {
    /// One of them.
    pub(in crate::relations) example: Tuple,
    /// How many there are.
    pub(in crate::relations) count: u64,
}

/// From a text on and up to another, in the order of bytes. No type or id has a character before `!` or behind `~`.
pub(in crate::relations) struct Place {
    from: String,
    to: String,
}

impl Place {
    pub(in crate::relations) const ANYWHERE: Self = Self {
        from: String::new(),
        to: String::new(),
    };

    pub(in crate::relations) fn exactly(text: String) -> Self {
        Self {
            to: format!("{text}\u{1}"),
            from: text,
        }
    }

    /// `;` is the next after `:`.
    pub(in crate::relations) fn of_type(kind: &str) -> Self {
        Self {
            from: format!("{kind}:"),
            to: format!("{kind};"),
        }
    }

    /// Every type begins with a letter.
    fn end(&self) -> &str {
        if self.to.is_empty() { "~" } else { &self.to }
    }

    fn is_exact(&self) -> bool {
        self.to.ends_with('\u{1}')
    }
}

/// The parts of a tuple as its row has them.
fn parts(service: &ServiceName, tuple: &Tuple) -> [String; 3] {
    let object = tuple.object().to_string();
    let own = object
        .strip_prefix(service.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .map(str::to_owned);
    [
        own.unwrap_or(object),
        tuple.relation().to_owned(),
        tuple.subject().to_string(),
    ]
}

/// The primary key of a tuple's row.
fn key<'t>((service, tuple): (&'t ServiceName, &'t Tuple)) -> (&'t str, String, String, String) {
    let [object, relation, subject] = parts(service, tuple);
    (service.as_str(), object, relation, subject)
}

fn json<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Other(error.into()))
}

/// Those of the named tuples that are there; each is named with its service.
pub(in crate::relations) async fn named<'t>(
    tx: &mut Tx,
    named: impl IntoIterator<Item = (&'t ServiceName, &'t Tuple)>,
) -> Result<Vec<RelationTuple>, StoreError> {
    const NAMED: Sql = Sql::each(
        "SELECT t.service_name, t.object, t.relation, t.subject, t.expires_at
           FROM jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS w (value)
           JOIN relation_tuples AS t ON t.service_name = w.value->>0 AND t.object = w.value->>1
                AND t.relation = w.value->>2 AND t.subject = w.value->>3",
        "SELECT t.service_name, t.object, t.relation, t.subject, t.expires_at
           FROM json_each($1) AS w
          CROSS JOIN relation_tuples AS t
          WHERE t.service_name = w.value->>0 AND t.object = w.value->>1
            AND t.relation = w.value->>2 AND t.subject = w.value->>3",
    );
    let list: Vec<_> = named.into_iter().map(key).collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    tuples(fetch_all!(tx, Row, NAMED, json(&list)?).await?)
}

/// Writes tuples, in place of the same ones with another end; no tuple may be there twice.
pub(in crate::relations) async fn upsert<'t>(
    tx: &mut Tx,
    puts: impl IntoIterator<Item = (&'t ServiceName, &'t RelationTuple)>,
) -> Result<(), StoreError> {
    const UPSERT: Sql = Sql::each(
        "INSERT INTO relation_tuples (service_name, object, relation, subject, expires_at)
         SELECT w.value->>0, w.value->>1, w.value->>2, w.value->>3, CAST(w.value->>4 AS TIMESTAMPTZ)
           FROM jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS w (value)
          WHERE true
             ON CONFLICT (service_name, object, relation, subject) DO UPDATE SET expires_at = excluded.expires_at",
        "INSERT INTO relation_tuples (service_name, object, relation, subject, expires_at)
         SELECT w.value->>0, w.value->>1, w.value->>2, w.value->>3, w.value->>4
           FROM json_each($1) AS w
          WHERE true
             ON CONFLICT (service_name, object, relation, subject) DO UPDATE SET expires_at = excluded.expires_at",
    );
    let line = |(service, put): (&'t ServiceName, &'t RelationTuple)| {
        let [object, relation, subject] = parts(service, &put.tuple);
        // As a moment is bound on SQLite, where it is a text; PostgreSQL reads it as well.
        let until = put.until.map(|until| until.to_rfc3339());
        (service.as_str(), object, relation, subject, until)
    };
    let list: Vec<_> = puts.into_iter().map(line).collect();
    if !list.is_empty() {
        execute!(tx, UPSERT, json(&list)?).await?;
    }
    Ok(())
}

/// Deletes the named tuples; each is named with its service.
pub(in crate::relations) async fn delete<'t>(
    tx: &mut Tx,
    named: impl IntoIterator<Item = (&'t ServiceName, &'t Tuple)>,
) -> Result<(), StoreError> {
    const DELETE: Sql = Sql::each(
        "DELETE FROM relation_tuples AS t
          USING jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS w (value)
          WHERE t.service_name = w.value->>0 AND t.object = w.value->>1
            AND t.relation = w.value->>2 AND t.subject = w.value->>3",
        "DELETE FROM relation_tuples
          WHERE (service_name, object, relation, subject) IN
                (SELECT w.value->>0, w.value->>1, w.value->>2, w.value->>3 FROM json_each($1) AS w)",
    );
    let list: Vec<_> = named.into_iter().map(key).collect();
    if !list.is_empty() {
        execute!(tx, DELETE, json(&list)?).await?;
    }
    Ok(())
}

/// The tuples that match, in their order, behind `after`; those only that hold at a moment, if one is given.
pub(in crate::relations) async fn matching(
    tx: &mut Tx,
    service: &ServiceName,
    filter: &Filter,
    after: Option<&Tuple>,
    holding_at: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<RelationTuple>, StoreError> {
    // The one along the primary key, the other along the index by subject: each gives the order by itself.
    const BY_OBJECT: &str = "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND subject >= $4 AND subject < $5
            AND (CAST($6 AS TEXT) IS NULL OR relation = $6)
            AND (object, relation, subject) > ($7, $8, $9)
            AND (expires_at IS NULL OR expires_at > $10)
          ORDER BY object, relation, subject LIMIT $11";
    // SQLite, which has no figures about its tables, would take the other one.
    const BY_SUBJECT: Sql = Sql::each(
        "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND subject = $4
            AND (CAST($5 AS TEXT) IS NULL OR relation = $5)
            AND (object, relation) > ($6, $7)
            AND (expires_at IS NULL OR expires_at > $8)
          ORDER BY object, relation LIMIT $9",
        "SELECT service_name, object, relation, subject, expires_at
           FROM relation_tuples INDEXED BY relation_tuples_of_subject
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND subject = $4
            AND (CAST($5 AS TEXT) IS NULL OR relation = $5)
            AND (object, relation) > ($6, $7)
            AND (expires_at IS NULL OR expires_at > $8)
          ORDER BY object, relation LIMIT $9",
    );
    let (objects, subjects) = (filter.objects(service), filter.subjects());
    let [object, relation, subject] = after.map(|after| parts(service, after)).unwrap_or_default();
    // Where both are lower bounds an index is searched by one of them only: by the higher one.
    let from = objects.from.as_str().max(object.as_str()).to_owned();
    let holding_at = holding_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let limit = i64::from(limit);
    let rows = if subjects.is_exact() && !objects.is_exact() {
        fetch_all!(
            tx,
            Row,
            BY_SUBJECT,
            service.as_str(),
            from,
            objects.end(),
            subjects.from.as_str(),
            filter.relation(),
            object,
            relation,
            holding_at,
            limit
        )
        .await?
    } else {
        fetch_all!(
            tx,
            Row,
            BY_OBJECT,
            service.as_str(),
            from,
            objects.end(),
            subjects.from.as_str(),
            subjects.end(),
            filter.relation(),
            object,
            relation,
            subject,
            holding_at,
            limit
        )
        .await?
    };
    tuples(rows)
}

/// Deletes the tuples of all services whose end has come, the oldest first, and returns them.
pub(in crate::relations) async fn delete_expired(
    tx: &mut Tx,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<RelationTuple>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM relation_tuples
          WHERE (service_name, object, relation, subject) IN
                (SELECT service_name, object, relation, subject FROM relation_tuples
                  WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
         RETURNING service_name, object, relation, subject, expires_at",
        now,
        limit
    )
    .await?;
    tuples(rows)
}

/// Deletes the tuples of all services whose subject is the object, or everyone in a relation to it, and returns them.
pub(in crate::relations) async fn delete_of_subject(
    tx: &mut Tx,
    subject: &Object,
) -> Result<Vec<RelationTuple>, StoreError> {
    let from = subject.to_string();
    // `$` is the next after `#`, and ids of ours have no character before that.
    let to = format!("{from}$");
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM relation_tuples WHERE subject >= $1 AND subject < $2
         RETURNING service_name, object, relation, subject, expires_at",
        from,
        to
    )
    .await?;
    tuples(rows)
}

/// Which kinds of tuples the service has.
pub(in crate::relations) async fn shapes(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Vec<Shape>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Counted {
        object: String,
        relation: String,
        subject: String,
        count: i64,
    }
    const SHAPES: Sql = Sql::each(
        "SELECT MIN(object) AS object, relation, MIN(subject) AS subject, COUNT(*) AS count FROM relation_tuples
          WHERE service_name = $1
          GROUP BY split_part(object, ':', 1), relation, split_part(subject, ':', 1), right(subject, 2) = ':*',
                   split_part(subject, '#', 2)
          ORDER BY 1, 2, 3",
        "SELECT MIN(object) AS object, relation, MIN(subject) AS subject, COUNT(*) AS count FROM relation_tuples
          WHERE service_name = $1
          GROUP BY substr(object, 1, instr(object, ':') - 1), relation, substr(subject, 1, instr(subject, ':') - 1),
                   substr(subject, -2) = ':*',
                   CASE WHEN instr(subject, '#') = 0 THEN '' ELSE substr(subject, instr(subject, '#')) END
          ORDER BY 1, 2, 3",
    );
    let counted = fetch_all!(tx, Counted, SHAPES, service.as_str()).await?;
    let shape = |row: Counted| {
        let (count, row) = (
            row.count,
            Row {
                service_name: service.to_string(),
                object: row.object,
                relation: row.relation,
                subject: row.subject,
                expires_at: None,
            },
        );
        let example = RelationTuple::try_from(row)?.tuple;
        Ok(Shape {
            example,
            count: count.try_into().unwrap_or_default(),
        })
    };
    counted.into_iter().map(shape).collect()
}

/// The first tuples that have all in common with one.
pub(in crate::relations) async fn of_shape(
    tx: &mut Tx,
    service: &ServiceName,
    like: &Tuple,
    limit: u32,
) -> Result<Vec<Tuple>, StoreError> {
    const OF_SHAPE: Sql = Sql::each(
        "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND relation = $4 AND subject >= $5 AND subject < $6
            AND right(subject, 2) <> ':*' AND split_part(subject, '#', 2) = $7
          ORDER BY object, relation, subject LIMIT $8",
        "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND relation = $4 AND subject >= $5 AND subject < $6
            AND substr(subject, -2) <> ':*'
            AND CASE WHEN instr(subject, '#') = 0 THEN '' ELSE substr(subject, instr(subject, '#') + 1) END = $7
          ORDER BY object, relation, subject LIMIT $8",
    );
    const OF_WILDCARD: &str =
        "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples
          WHERE service_name = $1 AND object >= $2 AND object < $3 AND relation = $4 AND subject = $5
          ORDER BY object LIMIT $6";
    let [object, relation, subject] = parts(service, like);
    let kind = |text: &str| Place::of_type(text.split(':').next().unwrap_or_default());
    let (objects, subjects) = (kind(&object), kind(&subject));
    let limit = i64::from(limit);
    let rows = if matches!(like.subject(), Subject::Wildcard(_)) {
        fetch_all!(
            tx,
            Row,
            OF_WILDCARD,
            service.as_str(),
            objects.from,
            objects.to,
            relation,
            subject,
            limit
        )
        .await?
    } else {
        let of = subject.split_once('#').map_or("", |(_, relation)| relation);
        fetch_all!(
            tx,
            Row,
            OF_SHAPE,
            service.as_str(),
            objects.from,
            objects.to,
            relation,
            subjects.from,
            subjects.to,
            of,
            limit
        )
        .await?
    };
    Ok(tuples(rows)?.into_iter().map(|row| row.tuple).collect())
}

/// Every tuple of every service.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<RelationTuple>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT service_name, object, relation, subject, expires_at FROM relation_tuples",
    )
    .await?;
    tuples(rows)
}

// Speaks for the IAB's own library. Reads one JSON list of questions, writes one of answers.
// {"write": FIELDS, "segments": [...]} encodes a consent string;
// {"read": TEXT, "restrictedAtMost": N} decodes one, unless more vendors than that are restricted.
"use strict";

const {
  TCModel,
  TCString,
  PurposeRestriction,
  PurposeRestrictionVector,
  SegmentEncoder,
} = require("@iabtcf/core");
const fs = require("fs");

const VECTORS = [
  "specialFeatureOptins",
  "purposeConsents",
  "purposeLegitimateInterests",
  "vendorConsents",
  "vendorLegitimateInterests",
  "vendorsDisclosed",
  "vendorsAllowed",
  "publisherConsents",
  "publisherLegitimateInterests",
  "publisherCustomConsents",
  "publisherCustomLegitimateInterests",
];
const PLAIN = [
  "cmpId",
  "cmpVersion",
  "consentScreen",
  "consentLanguage",
  "vendorListVersion",
  "policyVersion",
  "isServiceSpecific",
  "useNonStandardStacks",
  "purposeOneTreatment",
  "publisherCountryCode",
  "numCustomPurposes",
];

const { add } = PurposeRestrictionVector.prototype;
let left = 0;

// The library keeps restricted vendors in a tree that grows one way: it needs hours for a few
// ranges of all vendors there can be.
PurposeRestrictionVector.prototype.add = function (vendor, restriction) {
  if (left-- <= 0) throw new TooManyRestricted();
  add.call(this, vendor, restriction);
};

class TooManyRestricted extends Error {
  name = "TooManyRestricted";
}

function write({ write: fields, segments }) {
  left = Infinity;
  const model = new TCModel();
  for (const name of PLAIN) model[name] = fields[name];
  for (const name of VECTORS) model[name].set(fields[name]);
  model.created = new Date(fields.created);
  model.lastUpdated = new Date(fields.lastUpdated);
  // No list of vendors is at hand: every number counts as a vendor's, none is ruled out.
  model.publisherRestrictions.gvl_ = { vendorIds: new Set(fields.vendorIds) };
  for (const [purpose, kind, vendors] of fields.restrictions) {
    const restriction = new PurposeRestriction(purpose, kind);
    for (const vendor of vendors) model.publisherRestrictions.add(vendor, restriction);
  }
  return segments.map((segment) => SegmentEncoder.encode(model, segment)).join(".");
}

function read({ read: text, restrictedAtMost }) {
  left = restrictedAtMost;
  const model = TCString.decode(text);
  const found = { created: model.created.getTime(), lastUpdated: model.lastUpdated.getTime() };
  found.version = model.version;
  for (const name of PLAIN) found[name] = model[name];
  for (const name of VECTORS) {
    found[name] = [];
    model[name].forEach((has, id) => has && found[name].push(id));
  }
  const restrictions = model.publisherRestrictions;
  found.restrictions = restrictions
    .getRestrictions()
    .map((one) => [one.purposeId, one.restrictionType, restrictions.getVendors(one)]);
  return found;
}

function answer(question) {
  try {
    return { answer: "read" in question ? read(question) : write(question) };
  } catch (error) {
    return { error: error.name };
  }
}

const questions = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(questions.map(answer)));

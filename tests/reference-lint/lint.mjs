// Lints the OpenAPI file named on the command line; exit status 1 when there is anything to say.
// This is the engine of Redocly's command line tool without the 200 packages around it.
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
        'no-invalid-schema-examples': 'error',
        // The documents themselves have /contacts/check/{username} beside /contacts/{id}/accept; typed
        // segments keep such paths apart.
        'no-ambiguous-paths': 'off',
    },
});
const problems = await lint({ ref: process.argv[2], config });
formatProblems(problems, { totals: getTotals(problems), format: 'codeframe', maxProblems: 40 });
process.exitCode = problems.length ? 1 : 0;

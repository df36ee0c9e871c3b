// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
/* The arithmetic of one control step and nothing else: no graph, no dispatch, no allocation.
   Built and called by step_floor.py. Matrices are row-major, [in][out]. */
#include <math.h>

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
static float tanh_(float x) { return 1.0f - 2.0f / (1.0f + expf(2.0f * x)); }

/* Synapses sorted by target: those of target j are start[j] to start[j + 1] - 1. */
struct synapses {
    int targets, count;
    const int *source, *start;
    const float *slope, *offset, *current, *conductance;
    float *opened;
};

static void drive(const struct synapses *s, const float *v, const float *fixed_n,
                  const float *fixed_d, float *n, float *d)
{
    for (int e = 0; e < s->count; e++)
        s->opened[e] = sigmoid(s->slope[e] * v[s->source[e]] + s->offset[e]);
    for (int j = 0; j < s->targets; j++) {
        float sum_n = fixed_n[j], sum_d = fixed_d[j];
        for (int e = s->start[j]; e < s->start[j + 1]; e++) {
            sum_n += s->opened[e] * s->current[e];
            sum_d += s->opened[e] * s->conductance[e];
        }
        n[j] = sum_n;
        d[j] = sum_d;
    }
}

/* Weights and leaks come divided by unfolds * cm. work: 5 * units floats. */
void ltc_steps(int steps, int unfolds, int midpoint, const struct synapses *sensory,
               const struct synapses *recurrent, const float *leak_n, const float *leak_d,
               const float *x, float elapsed, float *v, float *work)
{
    int units = recurrent->targets;
    float *fixed_n = work, *fixed_d = work + units, *n = work + 2 * units, *d = work + 3 * units;
    float *middle = work + 4 * units;
    for (int step = 0; step < steps; step++) {
        drive(sensory, x, leak_n, leak_d, fixed_n, fixed_d);
        for (int k = 0; k < unfolds; k++) {
            drive(recurrent, v, fixed_n, fixed_d, n, d);
            if (!midpoint) {
                for (int j = 0; j < units; j++)
                    v[j] = (v[j] + elapsed * n[j]) / (1.0f + elapsed * d[j]);
                continue;
            }
            for (int j = 0; j < units; j++) {
                float target = n[j] / d[j];
                middle[j] = target + (v[j] - target) * expf(-0.5f * elapsed * d[j]);
            }
            drive(recurrent, middle, fixed_n, fixed_d, n, d);
            for (int j = 0; j < units; j++) {
                float target = n[j] / d[j];
                v[j] = target + (v[j] - target) * expf(-elapsed * d[j]);
            }
        }
    }
}

static void linear(int in, int out, const float *weight, const float *bias, const float *x,
                   float *y)
{
    for (int j = 0; j < out; j++)
        y[j] = bias[j];
    for (int i = 0; i < in; i++)
        for (int j = 0; j < out; j++)
            y[j] += x[i] * weight[i * out + j];
}

/* One group of CfC neurons; hidden 0: no backbone. work: inputs + units, hidden, 4 * units. */
struct cfc {
    int inputs, units, hidden;
    const float *backbone, *backbone_bias, *heads, *heads_bias;
    float *work;
};

/* Groups in turn, each hearing the one before; the states of all lie one behind the other. */
void cfc_steps(int steps, int groups, const struct cfc *cells, const float *x, float elapsed,
               float *state)
{
    for (int step = 0; step < steps; step++) {
        const float *input = x;
        float *own = state;
        for (int g = 0; g < groups; g++) {
            const struct cfc *c = &cells[g];
            float *z = c->work, *hidden = z + c->inputs + c->units, *head = hidden + c->hidden;
            int width = c->inputs + c->units, units = c->units;
            for (int i = 0; i < c->inputs; i++)
                z[i] = input[i];
            for (int i = 0; i < units; i++)
                z[c->inputs + i] = own[i];
            if (c->hidden) {
                linear(width, c->hidden, c->backbone, c->backbone_bias, z, hidden);
                for (int i = 0; i < c->hidden; i++)
                    hidden[i] = 1.7159f * tanh_(0.666f * hidden[i]);
                z = hidden;
                width = c->hidden;
            }
            linear(width, 4 * units, c->heads, c->heads_bias, z, head);
            for (int i = 0; i < units; i++) {
                float near = tanh_(head[i]), far = tanh_(head[units + i]);
                float gate = sigmoid(head[2 * units + i] * elapsed + head[3 * units + i]);
                own[i] = near + gate * (far - near);
            }
            input = own;
            own += units;
        }
    }
}

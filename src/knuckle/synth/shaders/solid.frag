#version 330
in vec3 at;
in vec3 facing;
in vec3 inside;
in vec4 lamp_at;
uniform sampler2D noise;
uniform sampler2DShadow shadow;
uniform vec3 ambient[9];
uniform vec3 lamp_direction[2];
uniform vec3 lamp_colour[2];
uniform float exposure;
uniform vec3 first;
uniform vec3 second;
uniform vec4 pattern;  // kind, scale, roughness, specular
layout(location = 0) out vec4 colour;
#ifdef PAINTED
layout(location = 1) out vec4 finish;  // height in metres, roughness, reflectance seen from the front, metal
layout(location = 2) out vec4 guide;   // normal of the relief, depth in metres
#endif

vec3 irradiance(vec3 n) {
    return ambient[0] * 0.282095 + 0.488603 * (ambient[1] * n.y + ambient[2] * n.z + ambient[3] * n.x)
        + 1.092548 * (ambient[4] * n.x * n.y + ambient[5] * n.y * n.z + ambient[7] * n.x * n.z)
        + ambient[6] * 0.315392 * (3.0 * n.z * n.z - 1.0) + ambient[8] * 0.546274 * (n.x * n.x - n.y * n.y);
}

// How much of the second colour a held object has there: the grain of wood, the print of a package, the skin of a fruit.
float surface_of_thing(vec3 p, vec4 grain) {
    vec3 q = p * pattern.y;
    if (pattern.x > 8.5) return 0.0;  // plain and smooth, or metal
    if (pattern.x > 7.5) {  // streaks from pole to pole along x
        float streak = texture(noise, vec2(atan(p.y, p.z) * 0.48, p.x * 2.0)).r;
        return 0.7 * smoothstep(0.4, 0.85, 0.7 * streak + 0.3 * grain.r);
    }
    if (pattern.x > 6.5) {  // a panel with lines of print, and a picture
        vec2 cell = floor(q.xy + 0.5 * q.z);
        float kind = mod(cell.x + 2.0 * cell.y, 3.0);
        float line = step(0.6, fract(q.y * 5.0)) * step(0.3, texture(noise, vec2(cell.y * 0.37, q.x * 0.13)).g);
        return kind < 0.5 ? smoothstep(0.45, 0.55, grain.r) : (kind < 1.5 ? line : 0.0);
    }
    // Rings of a trunk along x, cut lengthwise.
    float ring = length(q.yz + 0.8 * vec2(grain.r, grain.g)) + 0.02 * q.x;
    return 0.25 + 0.5 * abs(fract(ring) - 0.5) * 2.0 * (0.6 + 0.4 * texture(noise, vec2(p.x * 4.0, p.y * 60.0)).g);
}

void main() {
    vec3 eye = -normalize(at);
    vec3 n = normalize(facing);
    if (dot(n, eye) < 0.0) n = -n;
    vec3 p = inside * pattern.y;
    vec4 grain = texture(noise, inside.xy * 3.0 + inside.zx * 2.0);
    float t = 0.0;
    if (pattern.x > 5.5) t = surface_of_thing(inside, grain);
    else if (pattern.x > 3.5) t = 0.5 + 0.25 * sin(p.x * 6.0) * sin(p.y * 6.0) + (grain.g - 0.5);
    else if (pattern.x > 2.5) t = step(0.0, sin(p.x) * sin(p.y) * sin(p.z + 0.7));
    else if (pattern.x > 1.5) t = step(0.0, sin(p.y));
    else if (pattern.x > 0.5) t = smoothstep(0.4, 0.6, grain.r);
    float flatness = 1.0;
    if (pattern.x > 4.5 && pattern.x < 5.5) {
        // A face, looking along -z, in units of half its height; y runs down.
        vec2 f = vec2(abs(p.x), p.y);
        float front = smoothstep(0.1, -0.2, p.z);
        float eye_white = front * (1.0 - smoothstep(0.8, 1.0, length((f - vec2(0.27, -0.08)) / vec2(0.13, 0.06))));
        float dark = 1.0 - smoothstep(0.7, 1.0, length((f - vec2(0.27, -0.08)) / vec2(0.06, 0.06)));
        dark = max(dark, 0.8 * (1.0 - smoothstep(0.6, 1.0, length((f - vec2(0.28, -0.24)) / vec2(0.18, 0.035)))));
        dark = max(dark, 0.6 * (1.0 - smoothstep(0.5, 1.0, length((f - vec2(0.07, 0.24)) / vec2(0.05, 0.03)))));
        float lips = front * (1.0 - smoothstep(0.6, 1.0, length((f - vec2(0.0, 0.48)) / vec2(0.24, 0.07))));
        t = max(front * dark, smoothstep(0.0, 0.06, -p.y - 0.42 + 0.4 * p.z + 0.12 * (grain.r - 0.5)));
        flatness = 1.0 + 0.5 * eye_white * (1.0 - dark) - 0.35 * lips;
        flatness *= 1.0 - 0.25 * front * (1.0 - smoothstep(0.0, 1.0, length((f - vec2(0.05, 0.2)) / vec2(0.15, 0.2))));
    }
    float uneven = pattern.x > 5.5 ? 0.975 + 0.05 * grain.b : 0.85 + 0.3 * grain.b;
    vec3 albedo = flatness * mix(first, second, clamp(t, 0.0, 1.0)) * uneven;
#ifdef PAINTED
    colour = vec4(albedo, 1.0);
    finish = vec4(0.0, pattern.z, 0.05 * pattern.w, step(9.5, pattern.x));
    guide = vec4(n, at.z);
    return;
#endif
    float shine = 2.0 / pow(pattern.z, 4.0) - 2.0;
    vec3 radiance = albedo * max(irradiance(n), 0.0);
    if (pattern.x > 9.5) {
        // Metal mirrors what is around it: bright above a dark horizon, and light from below.
        vec3 r = reflect(-eye, n);
        float around = 0.35 + 0.9 * smoothstep(-0.05, -0.5, r.y) + 0.4 * smoothstep(0.2, 0.9, r.y);
        radiance = albedo * max(mix(irradiance(n), irradiance(r), 0.7), 0.0) * around;
    }
    for (int i = 0; i < 2; ++i) {
        vec3 l = lamp_direction[i];
        float lit = i == 0 ? textureProj(shadow, lamp_at) : 1.0;
        float cosine = max(dot(n, l), 0.0);
        vec3 h = normalize(l + eye);
        float lobe = (shine + 8.0) / 25.13 * pow(max(dot(n, h), 0.0), shine);
        radiance += lamp_colour[i] * lit * cosine * (albedo + pattern.w * 0.05 * min(lobe, 40.0));
    }
    vec3 seen = radiance * exposure;
    seen = seen / (1.0 + 0.18 * seen * seen);
    colour = vec4(pow(clamp(seen, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}

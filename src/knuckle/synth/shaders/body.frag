#version 330
// Compiled for SKINNED (arms, legs), FACED (head, eyes, mouth), WOVEN (clothes) and HAIRY.
in vec3 at;
in vec3 facing;
in vec3 sky;
in vec3 here;
in vec3 along;
in vec4 lamp_at;
uniform sampler2D noise;     // blotches, mottling, grain, veins
uniform sampler2D pigments;  // linear skin colour by melanin and blood
uniform sampler2DShadow shadow;
uniform vec3 lamp_direction[2];
uniform vec3 lamp_colour[2];
uniform float exposure;
uniform vec4 pigment;        // melanin, blood, palm lightening, mottling
uniform vec2 gloss;          // roughness, specular
uniform vec3 tint;
uniform vec2 noise_at;
uniform vec3 hair_colour;
uniform vec4 face;           // beard, stubble, brows, lips
uniform vec4 worn;           // glasses, mask over the mouth, print on the chest, hair that is a hat
uniform vec3 worn_colour;
uniform vec4 eye;            // colour of the iris, and which way it looks
uniform vec3 cloth[6];       // first and second colour of shirt, trousers, hat
uniform vec4 weave[3];       // kind, repeats per metre, depth of the folds, specular, of each
uniform vec3 shoes;
layout(location = 0) out vec4 colour;
#ifdef PAINTED
layout(location = 1) out vec4 finish;  // height in metres, roughness, reflectance seen from the front, metal
layout(location = 2) out vec4 guide;   // normal of the relief, depth in metres
#endif

#include "body_cut.glsl"

float disc(vec2 p, vec2 centre, vec2 half_size, float soft) {
    return 1.0 - smoothstep(1.0 - soft, 1.0 + soft, length((p - centre) / half_size));
}

#if defined(WOVEN)
vec3 woven(int which, vec3 p, vec4 grain) {
    vec4 w = weave[which];
    vec3 q = p * w.y;
    float t = 0.0;
    if (w.x > 3.5) t = 0.5 + 0.25 * sin(q.x * 6.0) * sin(q.y * 6.0) + (grain.g - 0.5);
    else if (w.x > 2.5) t = step(0.0, sin(q.x) * sin(q.y) * sin(q.z + 0.7));
    else if (w.x > 1.5) t = step(0.0, sin(q.y));
    else if (w.x > 0.5) t = smoothstep(0.4, 0.6, grain.r);
    return mix(cloth[2 * which], cloth[2 * which + 1], clamp(t, 0.0, 1.0)) * (0.85 + 0.3 * grain.b);
}
#endif

#if defined(SKINNED) || defined(FACED)
struct Surface { vec3 albedo; float height; float rough; float specular; float soft; float shade; };

Surface plain_skin(vec3 p, vec4 grain, float flush, float darker) {
    vec4 spots = texture(noise, p.xy * 8.0 + p.zx * 5.0 + noise_at);
    float palm = 0.25 * along.y;
    float melanin = pigment.x - pigment.z * palm * pigment.x + pigment.w * 0.25 * (spots.r - 0.5);
    float blood = pigment.y + 0.14 * palm + pigment.w * 0.9 * (spots.g - 0.5) + flush;
    vec3 albedo = texture(pigments, vec2(melanin, blood)).rgb * tint * (1.0 - darker);
    // Under the jaw less of the sky is seen.
    float jaw = 0.35 * smoothstep(0.645, 0.615, p.y) * smoothstep(0.52, 0.58, p.y) * smoothstep(0.16, 0.1, abs(p.x));
    return Surface(albedo, 0.00005 * grain.b, gloss.x, gloss.y, 1.0, 1.0 - jaw);
}
#endif

#if defined(FACED)
Surface skin(vec3 p, vec2 f, vec4 grain) {
    float head = smoothstep(0.6, 0.625, p.y) * smoothstep(0.15, 0.1, f.x);
    float front = head * smoothstep(0.06, 0.09, p.z);
    float lips = front * disc(f, vec2(0.0, 0.667), vec2(0.0235, 0.0105), 0.25);
    float cheek = front * (disc(f, vec2(0.038, 0.695), vec2(0.022, 0.022), 0.6) + 0.7 * disc(f, vec2(0.0, 0.695), vec2(0.012, 0.012), 0.5));
    Surface s = plain_skin(p, grain, 0.16 * cheek + 0.5 * face.w * lips, 0.2 * lips);

    float scalp = head * (1.0 - worn.w) * smoothstep(-0.002, 0.008, p.y - hairline(p) + 0.01 * (grain.r - 0.5)) * smoothstep(0.081, 0.077, f.x);
    float chin = front * smoothstep(0.692, 0.68, p.y + 0.25 * max(f.x - 0.02, 0.0)) * (1.0 - lips);
    float side = head * smoothstep(0.055, 0.075, p.z) * smoothstep(0.05, 0.057, f.x) * smoothstep(0.72, 0.7, p.y);
    float beard = max(chin, side) * smoothstep(0.61, 0.63, p.y);
    float arch = (f.x - 0.027) * (f.x - 0.027);
    float brow = front * disc(f, vec2(0.029, 0.7535 - 9.0 * arch), vec2(0.018, 0.0038), 0.35);
    float hairy = max(max(beard * face.x, 0.45 * beard * face.y), brow * face.z);
    s.albedo = mix(s.albedo, hair_colour, clamp(max(hairy, 0.9 * scalp) * (0.75 + 0.5 * grain.b), 0.0, 0.95));

    float lash = front * (disc(f, vec2(0.029, 0.7345), vec2(0.0175, 0.0095), 0.12) - disc(f, vec2(0.029, 0.733), vec2(0.0165, 0.0078), 0.12));
    s.shade *= 1.0 - 0.65 * clamp(lash, 0.0, 1.0);
    s.shade *= 1.0 - 0.75 * front * disc(f, vec2(0.0075, 0.6855), vec2(0.0042, 0.0025), 0.4);  // nostrils
    s.shade *= 1.0 - 0.5 * front * disc(f, vec2(0.0, 0.6675), vec2(0.021, 0.0011), 0.5);       // between the lips
    s.shade *= 1.0 - 0.18 * front * disc(f, vec2(0.03, 0.7235), vec2(0.016, 0.006), 0.6);      // under the eyes
    if (worn.y > 0.5 && head > 0.5 && p.y < 0.708 - 0.22 * f.x && p.z > 0.03 && p.y > 0.625)
        s = Surface(worn_colour, 0.002 * sin(p.y * 400.0), 0.8, 0.05, 0.0, 1.0);
    return s;
}

Surface eyeball(vec3 p, vec2 f) {
    float off = length(f - vec2(0.029 + sign(p.x) * eye.w, 0.735));
    vec3 albedo = mix(vec3(0.62, 0.58, 0.55), eye.rgb, smoothstep(0.0068, 0.0058, off));
    albedo = mix(albedo, vec3(0.005), smoothstep(0.0032, 0.0026, off));
    return Surface(albedo, 0.0, 0.3, 1.5, 1.0, 0.75 - 0.3 * smoothstep(0.735, 0.741, p.y));
}

float glasses(vec3 p, vec2 f, float inner) {
    float lens = disc(f, vec2(0.0325, 0.733), vec2(0.0245, 0.0195), 0.06);
    float glass = disc(f, vec2(0.0325, 0.733), vec2(0.0215, 0.0165), 0.06);
    bool bridge = f.x < 0.01 && abs(p.y - 0.739) < 0.0015 && p.z > 0.1;
    bool temple = f.x > 0.055 && f.x < 0.08 && abs(p.y - 0.739) < 0.0018 && p.z > 0.0;
    return step(0.08, p.z) * (lens - inner * glass) + float(bridge || temple);
}
#endif

void main() {
    vec3 p = here;
    float kind = floor(along.z + 0.5);
    vec4 grain = texture(noise, p.xy * 3.0 + p.zx * 2.0 + noise_at);
    if (is_cut(kind, p, along.x, 0.012 * (grain.r - 0.5))) discard;
    vec3 view = -normalize(at);
    vec3 n = normalize(facing);
    if (dot(n, view) < 0.0) n = -n;
    vec2 f = vec2(abs(p.x), p.y);

    float height, rough, specular, soft, shade;
    vec3 albedo;
#if defined(SKINNED)
    Surface s = plain_skin(p, grain, 0.0, 0.0);
    albedo = s.albedo, height = s.height, rough = s.rough, specular = s.specular, soft = s.soft, shade = s.shade;
#elif defined(FACED)
    Surface s = skin(p, f, grain);
    if (kind == EYES) s = eyeball(p, f);
    if (kind == MOUTH) s = Surface(vec3(0.12, 0.03, 0.025), 0.0, 0.5, 0.2, 1.0, 1.0);
    if (worn.x > 0.5 && kind != MOUTH) {
        s.albedo = mix(s.albedo, worn_colour * 0.15, clamp(glasses(p, f, worn.x > 1.5 ? 0.0 : 1.0), 0.0, 1.0));
    }
    albedo = s.albedo, height = s.height, rough = s.rough, specular = s.specular, soft = s.soft, shade = s.shade;
#elif defined(WOVEN)
    int which = kind == SHIRT ? 0 : kind == TROUSERS ? 1 : 2;
    albedo = woven(which, p, grain);
    vec4 crumpled = texture(noise, p.xy * vec2(1.3, 2.1) + p.zx * 1.1 + noise_at);
    height = weave[which].z * crumpled.r;
    rough = 0.8, specular = weave[which].w, soft = 0.0, shade = 0.8 + 0.35 * crumpled.r;
    if (kind == SHIRT && worn.z > 0.5 && p.z > 0.0 && f.x < 0.09 && abs(p.y - 0.36) < 0.07)
        albedo = mix(albedo, worn_colour, step(0.5, texture(noise, p.xy * 2.4 + noise_at.yx).r));
    if (kind == TROUSERS && p.y < trousers_cut.z) albedo = shoes;
#else
    float strand = texture(noise, vec2(atan(p.x, p.z + 0.02) * 2.2, p.y * 0.9)).b;
    albedo = hair_colour * (0.55 + 0.9 * strand);
    height = 0.0012 * strand + 0.006 * grain.r;
    rough = 0.45, specular = 0.5, soft = 0.0, shade = 1.0;
#endif

    // Bump from the height's slope on screen (Mikkelsen 2010).
    vec3 dx = dFdx(at), dy = dFdy(at);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    vec3 slope = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2);
    n = normalize(abs(det) * n - slope);

#ifdef PAINTED
    colour = vec4(albedo * shade, 1.0);
    finish = vec4(height, rough, specular * mix(0.05, 0.028, soft), 0.0);
    guide = vec4(n, at.z);
    return;
#endif
    float shine = 2.0 / pow(rough, 4.0) - 2.0;
    vec3 radiance = albedo * sky * shade;
    radiance += soft * sky * specular * (0.012 + 0.06 * pow(1.0 - max(dot(n, view), 0.0), 4.0));
    vec3 lamp = lamp_at.xyz / lamp_at.w;
    bool mapped = all(greaterThan(lamp, vec3(0.0))) && all(lessThan(lamp, vec3(1.0)));
    float through_map = textureProj(shadow, lamp_at);
    for (int i = 0; i < 2; ++i) {
        vec3 l = lamp_direction[i];
        float lit = i == 0 && mapped ? through_map : 1.0;
        float cosine = dot(n, l);
        // As the free hand's skin is lit, so that wrist and arm match; cloth does not let light through.
        vec3 wrap = soft * vec3(0.28, 0.12, 0.06);
        vec3 diffuse = clamp((cosine + wrap) / (1.0 + wrap), 0.0, 1.0);
        diffuse *= mix(vec3(1.0), diffuse, 0.3 * soft);
        vec3 through = mix(vec3(lit), mix(pow(vec3(lit), vec3(0.75, 1.05, 1.1)), vec3(1.0), 0.03), soft);
        vec3 h = normalize(l + view);
        float fresnel = mix(0.05, 0.028 + 0.972 * pow(1.0 - max(dot(h, view), 0.0), 5.0), soft);
        float lobe = (shine + 8.0) / 25.13 * pow(max(dot(n, h), 0.0), shine);
        radiance += lamp_colour[i] * (albedo * shade * diffuse * through + specular * lit * fresnel * min(lobe, 30.0) * max(cosine, 0.0));
    }
    vec3 seen = radiance * exposure;
    seen = seen / (1.0 + 0.18 * seen * seen);  // a camera's shoulder
    colour = vec4(pow(clamp(seen, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}

#version 330
in vec3 at;
in vec3 facing;
in vec3 sky;
in vec2 texture_at;
in vec4 lamp_at;
in float beyond_wrist;
in float bent;        // 1 at a joint flexed by 90 degrees
uniform sampler2D features;  // height, palm, nail, flush
uniform sampler2D noise;     // blotches, mottling, grain, veins
uniform sampler2D pigments;  // linear skin colour by melanin and blood
uniform sampler2DShadow shadow;
uniform vec3 lamp_direction[2];
uniform vec3 lamp_colour[2];
uniform float exposure;
uniform vec4 pigment;        // melanin, blood, palm lightening, flush
uniform vec4 relief;         // mottling, creases, veins, hair
uniform vec2 gloss;          // roughness, specular
uniform vec4 nail;           // colour, cover
uniform vec3 tint;
uniform vec2 noise_at;
uniform float softness;      // of light scattered under the skin
layout(location = 0) out vec4 colour;
#ifdef PAINTED
layout(location = 1) out vec4 finish;  // height in metres, roughness, reflectance seen from the front, metal
layout(location = 2) out vec4 guide;   // normal of the relief, depth in metres
#endif

void main() {
    vec4 feature = texture(features, texture_at);
    vec4 grain = texture(noise, texture_at * 2.3 + noise_at);
    float back = 1.0 - feature.g;
    float nail_here = smoothstep(0.35, 0.65, feature.b);
    // A bent joint deepens the creases on its inner side and pulls the folds over its knuckle smooth.
    float fold = mix(1.0 + 1.5 * bent, 1.0 - 0.85 * bent, back);
    fold = clamp(fold, 0.1, 2.4);
    float crease = max(0.5 - feature.r, 0.0) * 2.0 * fold;
    float stretched = max(bent, 0.0) * back;

    float melanin = pigment.x - pigment.z * feature.g * pigment.x - 0.12 * nail_here
        + relief.x * 0.25 * (grain.r - 0.5) * (1.0 - 0.7 * nail_here) + 0.18 * pigment.x * crease * back;
    float blood = pigment.y + 0.14 * feature.g + pigment.w * (feature.a - 0.2) + relief.x * 0.9 * (grain.g - 0.5) + 0.12 * nail_here
        + 0.25 * crease * relief.y - 0.22 * stretched * (1.0 - nail_here);
    float vein = relief.z * grain.a * back * (1.0 - nail_here) * (1.0 - feature.a);
    vec3 albedo = texture(pigments, vec2(melanin, blood)).rgb * tint;
    albedo *= 1.0 - vein * vec3(0.34, 0.16, 0.12);
    albedo *= 1.0 - 0.3 * relief.y * crease;
    albedo *= 1.0 - relief.w * 0.45 * smoothstep(0.62, 0.8, grain.b) * max(beyond_wrist, 0.3 * back) * back;
    albedo = mix(albedo, nail.rgb * 0.7, nail.a * nail_here);

    float height = (0.5 + (feature.r - 0.5) * fold) * relief.y * (1.0 - nail_here) + 0.05 * grain.b + 0.25 * vein;
    vec3 n = normalize(facing);
    // Bump from the height's slope on screen (Mikkelsen 2010).
    vec3 dx = dFdx(at), dy = dFdy(at);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    vec3 slope = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2);
    n = normalize(abs(det) * n - 0.0009 * slope);

#ifdef PAINTED
    colour = vec4(albedo, 1.0);
    finish = vec4(0.0009 * height, mix(gloss.x, 0.22, nail_here), 0.028 * gloss.y * mix(1.0, 1.6, nail_here), 0.0);
    guide = vec4(n, at.z);
    return;
#endif
    vec3 eye = -normalize(at);
    float rough = mix(gloss.x, 0.22, nail_here);
    float shine = 2.0 / (rough * rough * rough * rough) - 2.0;
    vec3 radiance = albedo * sky;
    float rim = pow(1.0 - max(dot(n, eye), 0.0), 4.0);
    radiance += sky * gloss.y * (0.012 + 0.06 * rim);
    for (int i = 0; i < 2; ++i) {
        vec3 l = lamp_direction[i];
        float lit = i == 0 ? textureProj(shadow, lamp_at) : 1.0;
        float cosine = dot(n, l);
        // Red light scatters farthest in skin, so it wraps further around.
        vec3 wrap = mix(vec3(0.28, 0.12, 0.06), vec3(0.42, 0.16, 0.08), softness);
        // It also blurs the relief: red sees the mesh's normal, blue that of every crease.
        float smooth_cosine = dot(normalize(facing), l);
        vec3 cosines = mix(vec3(cosine), vec3(smooth_cosine), softness * vec3(0.75, 0.35, 0.15));
        vec3 diffuse = clamp((cosines + wrap) / (1.0 + wrap), 0.0, 1.0);
        diffuse *= mix(vec3(1.0), diffuse, 0.3);
        vec3 through = mix(pow(vec3(lit), mix(vec3(0.75, 1.05, 1.1), vec3(0.55, 1.05, 1.2), softness)), vec3(1.0), 0.03);
        vec3 h = normalize(l + eye);
        float fresnel = 0.028 + 0.972 * pow(1.0 - max(dot(h, eye), 0.0), 5.0);
        float lobe = (shine + 8.0) / 25.13 * pow(max(dot(n, h), 0.0), shine);
        float mirror = gloss.y * lit * fresnel * min(lobe, 30.0) * max(cosine, 0.0) * mix(1.0, 1.6, nail_here);
        radiance += lamp_colour[i] * (albedo * diffuse * through + mirror);
    }
    vec3 seen = radiance * exposure;
    seen = seen / (1.0 + 0.18 * seen * seen);  // a camera's shoulder
    colour = vec4(pow(clamp(seen, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}

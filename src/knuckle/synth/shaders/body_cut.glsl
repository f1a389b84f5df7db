// Where each layer of a body ends, in places on the average adult (metres: x to the left, y up, z to the front).
uniform vec4 shirt_cut;     // end of the sleeves along the arm (0 shoulder, 1 elbow, 2 wrist), neck's depth, its half width, hem
uniform vec3 trousers_cut;  // waist, hem, end of the shoes
uniform vec4 hair_cut;      // hairline in front, at the side, its lower end behind, and at the sides
uniform float seam;         // the skin ends here along the arm: the free hand goes on

const float SKIN = 0.0, MOUTH = 1.0, EYES = 2.0, SHIRT = 3.0, TROUSERS = 4.0, HAIR = 5.0;

float hairline(vec3 p) {
    float front = smoothstep(0.06, 0.115, p.z);
    float back = smoothstep(0.035, -0.015, p.z);
    return mix(mix(hair_cut.y, hair_cut.x, front), hair_cut.z, back);
}

bool is_cut(float kind, vec3 p, float arm, float ragged) {
    if (kind == SKIN) return arm > seam;
    if (kind == SHIRT) {
        // Round the neck, which leans forward, and down in front.
        float around = length(vec2(p.x, 0.9 * (p.z - 0.012 - 0.35 * (p.y - 0.56))));
        bool round_neck = p.y > 0.5 && around < 0.073 + 0.35 * shirt_cut.y;
        bool deep = p.z > 0.03 && p.y > 0.555 - shirt_cut.y * (1.0 - abs(p.x) / shirt_cut.z) && abs(p.x) < shirt_cut.z;
        return arm > shirt_cut.x || p.y < shirt_cut.w || round_neck || deep;
    }
    if (kind == TROUSERS) return p.y > trousers_cut.x || p.y < trousers_cut.y && p.y > trousers_cut.z;
    if (kind == HAIR) {
        float line = hairline(p);
        float beside = smoothstep(0.04, 0.055, abs(p.x)) * smoothstep(-0.01, 0.005, p.z) * smoothstep(0.085, 0.06, p.z);
        line = mix(line, min(line, hair_cut.w), beside);
        return p.y < line + ragged;
    }
    return false;
}
